{{ config(alias='decisions') }}

with decisions as (

    select
        *,
        -- What says most about the lead first: a message, then what kept one back, then why no plan wanted them.
        list_position(
            ['sent', 'waiting', 'held', 'capped', 'review', 'unsure', 'refused', 'blocked', 'cancelled', 'expired',
             'waits', 'not_due', 'outranked', 'control_group', 'no_channel', 'stopped', 'exhausted', 'finished',
             'not_aged'],
            outcome
        ) as rank,
        count(*) over (partition by planning_id, person_id) as count_plans
    from {{ ref('int_decisions') }}

),

told as (

    select *
    from decisions
    qualify row_number() over (partition by planning_id, person_id order by rank nulls last, decision_id) = 1

)

select
    ---- ids
    planning_id,
    person_id,
    decision_id,
    message_id,

    ---- text
    planning,
    plan,
    step,
    channel,
    outcome,
    code,
    rule,
    reason,

    ---- numerics
    count_plans,

    ---- timestamps
    day,
    decided_at,
    held_until_at,
    accepted_at
from told
