-- Every message the planner asked for is sent, or stands under one reason; and no message escaped its decision.
with outcomes as (

    select
        day || ' ' || plan as which,
        count_planned as wanted,
        count_sent + count_waiting + count_held + count_capped + count_review + count_blocked + count_refused
        + count_unsure + count_cancelled + count_expired + count_left_out as found
    from {{ ref('planning_outcomes') }}

),

others as (

    select
        day || ' ' || plan || ', not planned' as which,
        count_not_planned as wanted,
        count_not_due + count_waits + count_outranked + count_no_channel + count_control_group + count_stopped
        + count_met_enough + count_not_aged + count_other as found
    from {{ ref('planning_outcomes') }}

),

-- Counted from the messages themselves, which know nothing of the decisions.
by_message as (

    select
        'messages of ' || messages.plan as which,
        count(*) as wanted,
        count(decisions.message_id) as found
    from {{ ref('stg_ledger__messages') }} as messages
    left join {{ ref('int_decisions') }} as decisions using (message_id)
    where messages.evidence ->> '$.planned_run_key' is not null
    group by messages.plan

)

select * from outcomes
where wanted <> found
union all
select * from others
where wanted <> found
union all
select * from by_message
where wanted <> found
