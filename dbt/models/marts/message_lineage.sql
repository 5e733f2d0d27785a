with messages as (

    select * from {{ ref('int_messages') }}

),

enrolments as (

    select
        *,
        try_cast(context ->> '$.event_id' as bigint) as event_id
    from {{ ref('stg_ledger__enrolments') }}

),

last_verdicts as (

    select
        *,
        try_cast(detail ->> '$.evidence.consent_id' as bigint) as consent_id
    from {{ ref('stg_ledger__verdicts') }}
    qualify row_number() over (partition by message_id order by verdict_id desc) = 1

),

inquiries as (

    select
        inquiries.event_id,
        coalesce(canonical_people.lead_id, inquiries.person_id) as person_id,
        inquiries.occurred_at
    from {{ ref('stg_ledger__inquiries') }} as inquiries
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)

),

consents as (

    select * from {{ ref('stg_ledger__consents') }}

),

-- The event that started the passage; where a plan was started by no event, the person's last inquiry before it.
message_events as (

    select
        messages.message_id,
        coalesce(any_value(enrolments.event_id), arg_max(inquiries.event_id, inquiries.occurred_at)) as event_id
    from messages
    left join enrolments on enrolments.enrolment_id = messages.enrolment_id
    left join inquiries on inquiries.person_id = messages.person_id and inquiries.occurred_at <= messages.created_at
    group by messages.message_id

),

attempts as (

    select
        message_id,
        count(*) as count_attempts
    from {{ ref('stg_ledger__attempts') }}
    group by message_id

)

select
    ---- ids
    messages.message_id,
    messages.person_id,
    messages.contact_point_id,
    messages.enrolment_id,
    messages.provider_id,
    message_events.event_id,
    last_verdicts.consent_id,

    ---- text
    messages.plan,
    messages.plan_version,
    messages.step,
    messages.template,
    messages.template_version,
    messages.channel,
    messages.purpose,
    messages.provider,
    messages.state,
    messages.code,
    enrolments.reason as enrolment_reason,
    last_verdicts.decision as last_verdict,
    last_verdicts.rule as last_rule,
    last_verdicts.pack_version,
    consents.level as consent_level,
    consents.consent_source,
    raw_events.type as event_type,
    raw_events.source as event_source,

    ---- numerics
    messages.occurrence,
    messages.score_pct,
    coalesce(attempts.count_attempts, 0) as count_attempts,

    ---- booleans
    messages.is_model_written,

    ---- timestamps
    messages.created_at,
    messages.accepted_at,
    messages.delivered_at,
    last_verdicts.judged_at as last_judged_at,
    consents.consented_at,
    raw_events.occurred_at as event_at
from messages
left join enrolments on enrolments.enrolment_id = messages.enrolment_id
left join last_verdicts on last_verdicts.message_id = messages.message_id
left join message_events on message_events.message_id = messages.message_id
left join consents on consents.consent_id = last_verdicts.consent_id
left join attempts on attempts.message_id = messages.message_id
left join {{ ref('stg_fub__events') }} as raw_events on raw_events.event_id = message_events.event_id
