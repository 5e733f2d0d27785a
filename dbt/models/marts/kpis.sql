with definitions as (

    select *
    from (
        values
        (
            'delivered', 'share', 0.98, 'above', 7, 20,
            'Of the messages a provider took, those whose delivery it reported and that did not bounce. What is still '
            || 'without a report counts after 24 hours. SNS, which reports to nobody, is left out.'
        ),
        (
            'services_up', 'share', 0.999, 'above', 30, 3600,
            'Of the seconds a service was to run, those in which it gave signs of life; the worst service counts. A '
            || 'stop that was announced is not counted, a silence under half a minute is not seen.'
        ),
        (
            'errors', 'share', 0.01, 'below', 7, 20,
            'Of calls to providers, notifications and writes to the CRM, those that failed: a call without a clear '
            || 'answer, a notification nobody could process, a write that was given up.'
        ),
        (
            'first_touch', 'seconds', 300, 'below', 7, 1,
            'What 95 of 100 new leads waited at most, from the CRM''s event until a provider took the first message. '
            || 'Who still waits counts with the wait so far; who was held back or passed over for a stated reason '
            || 'does not count.'
        ),
        (
            'response', 'share', null, 'none', 7, 30,
            'Of the leads written to on a day, those who answered within 72 hours, in whatever words.'
        ),
        (
            'conversion', 'share', null, 'none', 28, 30,
            'Of the new leads of a day, those with an appointment or a closed deal within 14 days.'
        )
    ) as defined (kpi, unit, target, target_is, window_days, least_count, definition)

),

daily as (

    select * from {{ ref('int_kpi_days') }}

),

days as (

    select
        daily.kpi,
        daily.day,
        definitions.window_days,
        definitions.target_is,
        sum(daily.count_part) as day_count_part,
        sum(daily.count_whole) as day_count_whole,
        bool_and(daily.is_complete) as is_complete
    from daily
    inner join definitions using (kpi)
    group by all

),

over_days as (

    select
        days.kpi,
        days.day,
        daily.subject,
        sum(daily.count_part) as count_part,
        sum(daily.count_whole) as count_whole,
        sum(daily.count_part) / nullif(sum(daily.count_whole), 0) as share
    from days
    inner join daily
        on daily.kpi = days.kpi and daily.day between days.day - (days.window_days - 1) and days.day
    group by days.kpi, days.day, daily.subject
    -- where several are measured, the worst is what the target is about
    qualify row_number() over (partition by days.kpi, days.day order by share nulls last, daily.subject) = 1

),

waits as (

    select
        days.kpi,
        days.day,
        quantile_disc(touches.waited_seconds, 0.95) as seconds
    from days
    inner join {{ ref('int_first_touch_seconds') }} as touches
        on touches.day between days.day - (days.window_days - 1) and days.day
    where days.kpi = 'first_touch'
    group by days.kpi, days.day

),

measured as (

    select
        days.*,
        over_days.subject,
        over_days.count_part,
        over_days.count_whole,
        cast(coalesce(waits.seconds, over_days.share) as double) as value
    from days
    inner join over_days using (kpi, day)
    left join waits using (kpi, day)

)

select
    ---- text
    measured.kpi,
    measured.subject,
    definitions.unit,
    definitions.target_is,
    definitions.definition,

    ---- numerics
    cast(definitions.window_days as integer) as window_days,
    cast(definitions.least_count as integer) as least_count,
    cast(measured.count_part as double) as count_part,
    cast(measured.count_whole as double) as count_whole,
    measured.value,
    cast(definitions.target as double) as target,
    cast(measured.day_count_part as double) as day_count_part,
    cast(measured.day_count_whole as double) as day_count_whole,

    ---- booleans
    case
        when definitions.target is null or measured.count_whole < definitions.least_count then null
        when definitions.target_is = 'above' then measured.value > definitions.target
        else measured.value < definitions.target
    end as is_met,
    measured.is_complete,

    ---- timestamps
    measured.day
from measured
inner join definitions using (kpi)
