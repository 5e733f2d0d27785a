with leads as (

    select * from {{ ref('int_leads') }}

),

touches as (

    select
        person_id,
        min(accepted_at) as first_touch_at,
        max(accepted_at) as last_message_at,
        count(*) as count_messages
    from {{ ref('int_messages') }}
    where is_accepted
    group by person_id

),

replies as (

    select
        person_id,
        max(received_at) as last_reply_at,
        arg_max(intent, received_at) as last_reply_intent,
        count(*) as count_replies,
        bool_or(is_positive) as has_positive_reply
    from {{ ref('int_inbound_messages') }}
    group by person_id

),

inquiries as (

    select
        coalesce(canonical_people.lead_id, inquiries.person_id) as person_id,
        max(inquiries.occurred_at) as last_inquiry_at,
        count(*) as count_inquiries
    from {{ ref('stg_ledger__inquiries') }} as inquiries
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
    group by 1

),

suppressed as (

    select * from {{ ref('int_suppressed_people') }}

),

scores as (

    select * from {{ ref('stg_scoring__lead_scores') }}

)

select
    ---- ids
    leads.person_id,
    leads.assigned_user_id,

    ---- text
    leads.first_name,
    leads.last_name,
    leads.email,
    leads.phone,
    leads.phone_as_given,
    leads.stage,
    leads.lead_type,
    leads.source,
    leads.assigned_to,
    leads.zip,
    leads.city,
    leads.state,
    scores.priority_band,
    scores.reason_1 as score_reason,
    scores.model_version as score_model_version,
    leads.no_message_reason,
    leads.automation_paused_reason,
    replies.last_reply_intent,

    ---- numerics
    leads.price_usd,
    scores.score_pct,
    coalesce(touches.count_messages, 0) as count_messages,
    coalesce(replies.count_replies, 0) as count_replies,
    coalesce(inquiries.count_inquiries, 0) as count_inquiries,

    ---- booleans
    leads.is_new_lead,
    leads.is_contactable,
    leads.is_automation_paused,
    coalesce(suppressed.is_email_suppressed, false) as is_email_suppressed,
    coalesce(suppressed.is_sms_suppressed, false) as is_sms_suppressed,
    coalesce(suppressed.is_whatsapp_suppressed, false) as is_whatsapp_suppressed,
    replies.person_id is not null as has_replied,
    coalesce(replies.has_positive_reply, false) as has_positive_reply,

    ---- timestamps
    leads.created_at,
    leads.updated_at,
    leads.cohort_month,
    inquiries.last_inquiry_at,
    leads.last_two_way_at,
    leads.last_human_at,
    touches.first_touch_at,
    touches.last_message_at,
    replies.last_reply_at,
    suppressed.first_suppressed_at
from leads
left join touches using (person_id)
left join replies using (person_id)
left join inquiries using (person_id)
left join suppressed using (person_id)
left join scores using (person_id)
