with messages as (

    select * from {{ ref('int_messages') }}

)

select
    ---- text
    plan,
    step,
    template,
    channel,

    ---- numerics
    count(*) as count_messages,
    count(*) filter (where is_accepted) as count_accepted,
    count(*) filter (where is_delivered) as count_delivered,
    count(*) filter (where is_bounced or is_undelivered) as count_failed,
    count(*) filter (where is_complained) as count_complained,
    count(*) filter (where is_replied) as count_replied,
    count(*) filter (where has_positive_reply) as count_positive,
    count(*) filter (where has_refusal) as count_opted_out,
    count(*) filter (where state in ('queued', 'held', 'review', 'sending', 'unknown', 'parked')) as count_waiting,
    count(*) filter (where state in ('blocked', 'refused')) as count_blocked,
    count(*) filter (where state in ('cancelled', 'expired')) as count_ended,
    count(*) filter (where is_replied) / nullif(count(*) filter (where is_accepted), 0) as reply_rate,
    count(*) filter (where has_refusal) / nullif(count(*) filter (where is_accepted), 0) as opt_out_rate,
    median(date_diff('second', accepted_at, first_reply_at)) as median_reply_seconds
from messages
group by plan, step, template, channel
