with messages as (

    select * from {{ ref('int_messages') }}

),

enrolments as (

    select * from {{ ref('stg_ledger__enrolments') }}

),

claim_verdicts as (

    select *
    from {{ ref('stg_ledger__verdicts') }}
    qualify row_number() over (partition by message_id order by judged_at desc, verdict_id desc) = 1

),

inquiries as (

    select *
    from {{ ref('stg_ledger__inquiries') }}

),

last_inquiry as (

    select
        messages.message_id,
        max_by(inquiries.event_id, inquiries.occurred_at) as event_id
    from messages
    inner join inquiries on inquiries.person_id = messages.person_id and inquiries.occurred_at <= messages.created_at
    group by messages.message_id

),

last_consent as (

    select
        messages.message_id,
        max_by(consents.consent_id, consents.consented_at) as consent_id,
        max_by(consents.level, consents.consented_at) as consent_level
    from messages
    inner join {{ ref('stg_ledger__consents') }} as consents
        on
            consents.person_id = messages.person_id
            and consents.channel = messages.channel
            and consents.consented_at <= messages.created_at
    group by messages.message_id

)

select
    ---- ids
    messages.message_id,
    messages.person_id,
    messages.contact_point_id,
    messages.enrolment_id,
    messages.provider_id,
    last_inquiry.event_id,
    last_consent.consent_id,

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
    claim_verdicts.decision as last_verdict,
    claim_verdicts.rule as last_rule,
    claim_verdicts.pack_version,
    last_consent.consent_level,
    raw_events.type as event_type,
    raw_events.source as event_source,

    ---- numerics
    messages.occurrence,
    messages.score_pct,

    ---- timestamps
    messages.created_at,
    messages.accepted_at,
    messages.delivered_at,
    claim_verdicts.judged_at as last_judged_at
from messages
left join enrolments on enrolments.enrolment_id = messages.enrolment_id
left join claim_verdicts on claim_verdicts.message_id = messages.message_id
left join last_inquiry on last_inquiry.message_id = messages.message_id
left join last_consent on last_consent.message_id = messages.message_id
left join {{ ref('stg_fub__events') }} as raw_events on raw_events.event_id = last_inquiry.event_id
