with leads as (

    select * from {{ ref('int_leads') }}
    where is_new_lead

),

passages as (

    select
        enrolments.enrolment_id,
        coalesce(canonical_people.lead_id, enrolments.person_id) as person_id,
        try_cast(enrolments.context ->> '$.event_id' as bigint) as event_id,
        enrolments.opened_at
    from {{ ref('stg_ledger__enrolments') }} as enrolments
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
    where enrolments.plan = 'new_lead'

),

first_messages as (

    select
        enrolment_id,
        arg_min(message_id, accepted_at) as message_id,
        arg_min(channel, accepted_at) as channel,
        min(accepted_at) as accepted_at,
        arg_min(concat_ws(':', state, code), created_at) as first_state
    from {{ ref('int_messages') }}
    where plan = 'new_lead'
    group by enrolment_id

)

select
    ---- ids
    leads.person_id,
    passages.enrolment_id,
    first_messages.message_id,

    ---- text
    first_messages.channel,
    case
        when first_messages.accepted_at is null
            then coalesce(leads.no_message_reason, first_messages.first_state, 'not_yet_planned')
    end as no_message_reason,

    ---- numerics
    row_number() over (partition by leads.person_id order by passages.enrolment_id) as inquiry_number,

    ---- timestamps
    -- A person who was just created waits since then; one who was there before, since they asked again.
    case
        when passages.opened_at > leads.created_at + interval 24 hour
            then coalesce(inquiries.occurred_at, passages.opened_at)
        else leads.created_at
    end as asked_at,
    first_messages.accepted_at as first_touch_at
from leads
left join passages using (person_id)
left join first_messages using (enrolment_id)
left join {{ ref('stg_ledger__inquiries') }} as inquiries on inquiries.event_id = passages.event_id
