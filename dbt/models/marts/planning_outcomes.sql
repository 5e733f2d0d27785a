with decisions as (

    select * from {{ ref('int_decisions') }}

)

select
    ---- text
    planning,
    plan,

    ---- numerics
    count(*) as count_decisions,
    count(distinct person_id) as count_leads,
    count(*) filter (where is_planned) as count_planned,
    -- planned is the sum of these
    count(*) filter (where is_planned and outcome = 'sent') as count_sent,
    count(*) filter (where is_planned and outcome = 'waiting') as count_waiting,
    count(*) filter (where is_planned and outcome = 'held') as count_held,
    count(*) filter (where is_planned and outcome = 'capped') as count_capped,
    count(*) filter (where is_planned and outcome = 'review') as count_review,
    count(*) filter (where is_planned and outcome = 'blocked') as count_blocked,
    count(*) filter (where is_planned and outcome = 'refused') as count_refused,
    count(*) filter (where is_planned and outcome = 'unsure') as count_unsure,
    count(*) filter (where is_planned and outcome = 'cancelled') as count_cancelled,
    count(*) filter (where is_planned and outcome = 'expired') as count_expired,
    count(*) filter (where is_planned and message_id is null) as count_left_out,
    -- the others are the sum of these
    count(*) filter (where not is_planned) as count_not_planned,
    count(*) filter (where not is_planned and outcome = 'not_due') as count_not_due,
    count(*) filter (where not is_planned and outcome = 'waits') as count_waits,
    count(*) filter (where not is_planned and outcome = 'outranked') as count_outranked,
    count(*) filter (where not is_planned and outcome = 'no_channel') as count_no_channel,
    count(*) filter (where not is_planned and outcome = 'control_group') as count_control_group,
    count(*) filter (where not is_planned and outcome = 'stopped') as count_stopped,
    count(*) filter (where not is_planned and outcome in ('exhausted', 'finished')) as count_met_enough,
    count(*) filter (where not is_planned and outcome = 'not_aged') as count_not_aged,
    count(*) filter (
        where
        not is_planned
        and outcome not in (
            'not_due', 'waits', 'outranked', 'no_channel', 'control_group', 'stopped', 'exhausted', 'finished',
            'not_aged'
        )
    ) as count_other,

    ---- timestamps
    day
from decisions
group by planning, plan, day
