with messages as (

    select * from {{ ref('int_messages') }}
    where is_accepted

)

select
    ---- text
    channel,
    coalesce(provider, 'unknown') as provider,

    ---- numerics
    count(*) as count_accepted,
    count(*) filter (where is_delivered) as count_delivered,
    count(*) filter (where is_bounced) as count_bounced,
    count(*) filter (where is_complained) as count_complained,
    count(*) filter (where is_delivered) / count(*) as delivered_rate,
    count(*) filter (where is_bounced) / count(*) as bounce_rate,
    count(*) filter (where is_complained) / count(*) as complaint_rate,

    ---- timestamps
    {{ team_day('accepted_at') }} as day
from messages
group by channel, coalesce(provider, 'unknown'), {{ team_day('accepted_at') }}
