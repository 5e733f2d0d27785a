with messages as (

    select
        *,
        {{ team_day('coalesce(accepted_at, last_event_at, created_at)') }} as day
    from {{ ref('int_messages') }}
    -- what never reached a provider says nothing about one
    where is_accepted or state in ('refused', 'unknown', 'parked')

)

select
    ---- text
    channel,
    coalesce(provider, 'unknown') as provider,

    ---- numerics
    count(*) as count_handed_over,
    count(*) filter (where is_accepted) as count_accepted,
    count(*) filter (where state = 'refused') as count_refused,
    count(*) filter (where not is_accepted and state in ('unknown', 'parked')) as count_unknown,
    count(*) filter (where is_delivered) as count_delivered,
    count(*) filter (where is_bounced) as count_bounced,
    count(*) filter (where is_undelivered) as count_undelivered,
    count(*) filter (where is_complained) as count_complained,
    count(*) filter (where is_delivered) / nullif(count(*) filter (where is_accepted), 0) as delivered_rate,
    count(*) filter (where is_bounced) / nullif(count(*) filter (where is_accepted), 0) as bounce_rate,
    count(*) filter (where is_complained) / nullif(count(*) filter (where is_accepted), 0) as complaint_rate,

    ---- timestamps
    day
from messages
group by channel, coalesce(provider, 'unknown'), day
