with first_touches as (

    select * from {{ ref('int_first_touches') }}

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
    first_touches.person_id,
    first_touches.message_id,

    ---- text
    leads.source,
    leads.assigned_to,
    first_touches.channel,
    first_touches.no_message_reason,

    ---- numerics
    first_touches.inquiry_number,
    date_diff('millisecond', first_touches.asked_at, first_touches.first_touch_at) / 1000.0 as first_touch_seconds,

    ---- booleans
    leads.is_contactable,
    first_touches.first_touch_at is not null as is_touched,
    coalesce(first_touches.first_touch_at <= first_touches.asked_at + interval 5 minute, false) as is_within_5_minutes,

    ---- timestamps
    {{ team_day('first_touches.asked_at') }} as day,
    first_touches.asked_at,
    first_touches.first_touch_at,
    first_human.first_human_at
from first_touches
inner join {{ ref('int_leads') }} as leads using (person_id)
left join first_human using (person_id)
