with leads as (

    select * from {{ ref('int_leads') }}
    where merged_into_person_id is null

),

touches as (

    select
        person_id,
        min(accepted_at) as first_touch_at,
        max(accepted_at) as last_message_at,
        count(*) filter (where is_accepted) as count_messages,
        sum(count_replies) as count_replies
    from {{ ref('int_messages') }}
    group by person_id

),

inquiries as (

    select
        person_id,
        max(occurred_at) as last_inquiry_at,
        count(*) as count_inquiries
    from {{ ref('stg_ledger__inquiries') }}
    group by person_id

),

opt_outs as (

    select
        person_id,
        bool_or(channel in ('email', 'all')) as is_email_suppressed,
        bool_or(channel in ('sms', 'all')) as is_sms_suppressed
    from {{ ref('int_suppressed_points') }}
    where person_id is not null
    group by person_id

),

scores as (

    select * from {{ source('scoring', 'lead_scores') }}
    qualify row_number() over (partition by person_id order by scored_at desc) = 1

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

    ---- numerics
    leads.price_usd,
    scores.score_pct,
    coalesce(touches.count_messages, 0) as count_messages,
    coalesce(touches.count_replies, 0) as count_replies,
    coalesce(inquiries.count_inquiries, 0) as count_inquiries,

    ---- booleans
    leads.is_new_lead,
    leads.is_contactable,
    leads.is_automation_paused,
    coalesce(opt_outs.is_email_suppressed, false) as is_email_suppressed,
    coalesce(opt_outs.is_sms_suppressed, false) as is_sms_suppressed,
    touches.count_replies > 0 as has_replied,

    ---- timestamps
    leads.created_at,
    leads.updated_at,
    leads.cohort_month,
    inquiries.last_inquiry_at,
    leads.last_two_way_at,
    leads.last_human_at,
    touches.first_touch_at,
    touches.last_message_at
from leads
left join touches using (person_id)
left join inquiries using (person_id)
left join opt_outs using (person_id)
left join scores using (person_id)
