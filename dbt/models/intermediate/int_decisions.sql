with decisions as (

    select
        *,
        detail ->> '$.reason' as reason,
        coalesce(cast(detail ->> '$.was_planned' as boolean), false) as was_planned,
        cast(detail ->> '$.planned_at' as timestamptz) as detail_planned_at
    from {{ ref('stg_ledger__decisions') }}

),

planned_messages as (

    select
        message_id,
        evidence ->> '$.reason' as reason,
        cast(evidence ->> '$.planned_at' as timestamptz) as planned_at
    from {{ ref('stg_ledger__messages') }}

),

messages as (

    select * from {{ ref('int_messages') }}

),

held_until as (

    select
        message_id,
        not_before_at
    from {{ ref('stg_ledger__messages') }}
    where state = 'held'

),

last_verdicts as (

    select * from {{ ref('stg_ledger__verdicts') }}
    qualify row_number() over (partition by message_id order by verdict_id desc) = 1

),

placed as (

    select
        decisions.*,
        coalesce(planned_messages.planned_at, decisions.detail_planned_at) as planned_at,
        coalesce(decisions.reason, planned_messages.reason) as planning_reason,
        case
            when coalesce(planned_messages.planned_at, decisions.detail_planned_at) is not null then 'nightly'
            when decisions.plan = 'conversation' then 'reply'
            when decisions.run_key in ('', 'first_touch') then 'first_touch'
            when decisions.run_key = 'send_due' then 'next_step'
            else 'event'
        end as planning
    from decisions
    left join planned_messages on planned_messages.message_id = decisions.message_id
    -- The welcome's own message says what came of it.
    where decisions.outcome <> 'enrolled'

),

-- Planned again the same day by an edited plan: the message, if one was made, is what came of it.
once as (

    select *
    from placed
    qualify
        planning <> 'nightly'
        or row_number() over (
            partition by person_id, plan, {{ team_day('planned_at') }}
            order by message_id is null, decision_id
        ) = 1

)

select
    ---- ids
    once.decision_id,
    once.person_id,
    once.message_id,
    case
        when once.planning = 'nightly' then 'nightly ' || {{ team_day('once.planned_at') }}
        else once.planning || ' ' || once.decision_id
    end as planning_id,

    ---- text
    once.planning,
    once.plan,
    coalesce(messages.step, once.step) as step,
    messages.channel,
    case
        when once.message_id is null then once.outcome
        when messages.is_accepted then 'sent'
        when messages.state = 'held' and last_verdicts.rule = 'C15' then 'capped'
        when messages.state = 'queued' then 'waiting'
        when messages.state in ('sending', 'unknown', 'parked') then 'unsure'
        else coalesce(messages.state, 'lost')
    end as outcome,
    case when once.message_id is null then once.code else messages.code end as code,
    case when once.message_id is not null then last_verdicts.rule end as rule,
    case
        when once.message_id is null then coalesce(once.reason, once.code, once.outcome)
        when messages.is_accepted then coalesce(once.planning_reason, 'plan ' || once.plan || ', step ' || messages.step)
        when messages.state = 'held' then messages.code || ' until ' || coalesce(held_until.not_before_at::varchar, '?')
        when messages.state = 'queued' then 'due ' || messages.due_at
        else coalesce(messages.code, messages.state, 'its message is missing')
    end as reason,

    ---- booleans
    once.message_id is not null or once.was_planned as is_planned,

    ---- timestamps
    {{ team_day('coalesce(once.planned_at, once.decided_at)') }} as day,
    once.decided_at,
    once.planned_at,
    messages.accepted_at,
    held_until.not_before_at as held_until_at
from once
left join messages on messages.message_id = once.message_id
left join held_until on held_until.message_id = once.message_id
left join last_verdicts on last_verdicts.message_id = once.message_id
