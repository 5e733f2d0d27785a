with as_of as (

    select * from {{ ref('int_as_of') }}

),

first_verdicts as (

    select
        message_id,
        arg_min(decision, verdict_id) as decision
    from {{ ref('stg_ledger__verdicts') }}
    group by message_id

),

first_touches as (

    select
        first_touches.*,
        coalesce(first_verdicts.decision = 'HOLD', false) as was_held
    from {{ ref('int_first_touches') }} as first_touches
    left join first_verdicts using (message_id)

)

select
    ---- ids
    first_touches.person_id,
    first_touches.inquiry_number,

    ---- numerics
    date_diff('millisecond', first_touches.asked_at, coalesce(first_touches.first_touch_at, as_of.as_of))
    / 1000.0 as waited_seconds,

    ---- booleans
    first_touches.first_touch_at is not null as is_touched,

    ---- timestamps
    {{ team_day('first_touches.asked_at') }} as day
from first_touches
cross join as_of
where
    -- held back by law or house rule from the first moment on: the reason is stated
    not first_touches.was_held
    and (
        first_touches.first_touch_at is not null
        -- nobody said yet why not, so the wait goes on; any other reason was stated
        or first_touches.no_message_reason in ('not_yet_planned', 'queued', 'sending')
    )
