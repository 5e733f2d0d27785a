with users as (

    select * from {{ ref('stg_fub__users') }}

),

actions as (

    select
        user_id,
        {{ team_day('acted_at') }} as day,
        count(*) filter (where kind = 'call') as count_calls,
        count(*) filter (where kind = 'text') as count_texts,
        count(*) filter (where kind = 'email') as count_emails,
        count(*) filter (where kind = 'note') as count_notes,
        count(distinct person_id) as count_leads
    from {{ ref('stg_ledger__human_actions') }}
    group by 1, 2

),

handoffs as (

    select
        assigned_user_id as user_id,
        {{ team_day('opened_at') }} as day,
        count(*) as count_handoffs,
        count(*) filter (where closed_at is not null) as count_handoffs_closed,
        sum(alerts) as count_alerts,
        avg(date_diff('second', opened_at, closed_at)) as handoff_wait_seconds
    from {{ ref('stg_ledger__handoffs') }}
    group by 1, 2

),

keys as (

    select user_id, day from actions
    union
    select user_id, day from handoffs

)

select
    ---- ids
    keys.user_id,

    ---- text
    coalesce(users.name, 'user ' || keys.user_id, 'nobody assigned') as agent,

    ---- numerics
    coalesce(actions.count_calls, 0) as count_calls,
    coalesce(actions.count_texts, 0) as count_texts,
    coalesce(actions.count_emails, 0) as count_emails,
    coalesce(actions.count_notes, 0) as count_notes,
    coalesce(actions.count_leads, 0) as count_leads,
    coalesce(handoffs.count_handoffs, 0) as count_handoffs,
    coalesce(handoffs.count_handoffs_closed, 0) as count_handoffs_closed,
    coalesce(handoffs.count_alerts, 0) as count_alerts,
    handoffs.handoff_wait_seconds,

    ---- timestamps
    keys.day
from keys
left join users on users.user_id = keys.user_id
left join actions on actions.user_id is not distinct from keys.user_id and actions.day = keys.day
left join handoffs on handoffs.user_id is not distinct from keys.user_id and handoffs.day = keys.day
