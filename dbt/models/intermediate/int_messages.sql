with messages as (

    select * from {{ ref('stg_ledger__messages') }}

),

events as (

    select
        message_id,
        min(case when to_state = 'accepted' then happened_at end) as accepted_at,
        min(case when to_state = 'delivered' then happened_at end) as delivered_at,
        min(case when to_state = 'bounced' then happened_at end) as bounced_at,
        min(case when to_state = 'undelivered' then happened_at end) as undelivered_at,
        min(case when to_state = 'complained' then happened_at end) as complained_at,
        max(happened_at) as last_event_at
    from {{ ref('stg_ledger__message_events') }}
    group by message_id

),

replies as (

    select
        in_reply_to_message_id as message_id,
        min(received_at) as first_reply_at,
        arg_min(intent, received_at) as first_reply_intent,
        count(*) as count_replies,
        bool_or(is_positive) as has_positive_reply,
        bool_or(is_refusal) as has_refusal
    from {{ ref('int_inbound_messages') }}
    where in_reply_to_message_id is not null
    group by in_reply_to_message_id

)

select
    ---- ids
    messages.message_id,
    coalesce(canonical_people.lead_id, messages.person_id) as person_id,
    messages.contact_point_id,
    messages.enrolment_id,
    messages.provider_id,

    ---- text
    messages.plan,
    messages.plan_version,
    messages.step,
    messages.channel,
    messages.purpose,
    messages.template,
    messages.template_version,
    messages.provider,
    messages.state,
    messages.code,
    replies.first_reply_intent,

    ---- numerics
    messages.occurrence,
    messages.segments,
    messages.score_pct,
    coalesce(replies.count_replies, 0) as count_replies,

    ---- booleans
    coalesce(events.accepted_at, messages.accepted_at) is not null as is_accepted,
    events.delivered_at is not null and events.bounced_at is null as is_delivered,
    events.bounced_at is not null as is_bounced,
    events.undelivered_at is not null as is_undelivered,
    events.complained_at is not null as is_complained,
    replies.message_id is not null as is_replied,
    coalesce(replies.has_positive_reply, false) as has_positive_reply,
    coalesce(replies.has_refusal, false) as has_refusal,
    messages.is_model_written,

    ---- timestamps
    messages.created_at,
    messages.due_at,
    coalesce(events.accepted_at, messages.accepted_at) as accepted_at,
    events.delivered_at,
    replies.first_reply_at,
    events.last_event_at
from messages
left join events on events.message_id = messages.message_id
left join replies on replies.message_id = messages.message_id
left join {{ ref('int_canonical_people') }} as canonical_people on canonical_people.person_id = messages.person_id
