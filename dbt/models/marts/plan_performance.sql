with messages as (

    select * from {{ ref('int_messages') }}

),

opt_outs as (

    select distinct in_reply_to_message_id as message_id
    from {{ ref('stg_ledger__inbound_messages') }}
    where intent in ('opt_out', 'wrong_number', 'complaint')

)

select
    ---- text
    messages.plan,
    messages.step,
    messages.template,
    messages.channel,

    ---- numerics
    count(*) as count_messages,
    count(*) filter (where messages.is_accepted) as count_accepted,
    count(*) filter (where messages.is_delivered) as count_delivered,
    count(*) filter (where messages.is_bounced) as count_bounced,
    count(*) filter (where messages.is_complained) as count_complained,
    count(*) filter (where messages.is_replied) as count_replied,
    count(*) filter (where messages.first_reply_intent in ('interested', 'appointment', 'question', 'human')) as count_positive,
    count(opt_outs.message_id) as count_opted_out,
    count(*) filter (where messages.state in ('queued', 'held', 'review')) as count_waiting,
    count(*) filter (where messages.state = 'blocked') as count_blocked,
    count(*) filter (where messages.is_replied) / nullif(count(*) filter (where messages.is_accepted), 0) as reply_rate
from messages
left join opt_outs using (message_id)
group by messages.plan, messages.step, messages.template, messages.channel
