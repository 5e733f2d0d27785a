with leads as (

    select * from {{ ref('leads') }}
    where is_new_lead

),

first_messages as (

    select *
    from {{ ref('int_messages') }}
    where plan = 'new_lead' and is_accepted
    qualify row_number() over (partition by person_id, occurrence order by accepted_at) = 1

),

first_human as (

    select
        person_id,
        min(acted_at) as first_human_at
    from {{ ref('stg_ledger__human_actions') }}
    group by person_id

)

select
    ---- ids
    leads.person_id,
    first_messages.message_id,

    ---- text
    leads.source,
    leads.assigned_to,
    first_messages.channel,
    leads.no_message_reason,

    ---- numerics
    coalesce(first_messages.occurrence, 1) as occurrence,
    date_diff('millisecond', leads.created_at, first_messages.accepted_at) / 1000.0 as first_touch_seconds,

    ---- booleans
    first_messages.accepted_at is not null as is_touched,
    first_messages.accepted_at <= leads.created_at + interval 5 minute as is_sla_met,

    ---- timestamps
    leads.created_at,
    first_messages.accepted_at as first_touch_at,
    first_human.first_human_at
from leads
left join first_messages using (person_id)
left join first_human using (person_id)
