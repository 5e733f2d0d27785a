-- Compared by when leadpipe learnt of it: a STOP that a late webhook tells of is not held against earlier messages.
with suppressed as (

    select
        contact_point_id,
        channel,
        max(recorded_at) as recorded_at
    from {{ ref('stg_ledger__suppressions') }}
    where action = 'suppress'
    group by contact_point_id, channel

)

select
    attempts.attempt_id,
    attempts.message_id,
    attempts.started_at,
    suppressed.recorded_at
from {{ ref('stg_ledger__attempts') }} as attempts
inner join {{ ref('int_messages') }} as messages using (message_id)
inner join {{ ref('int_suppressed_points') }} as points using (contact_point_id, channel)
inner join suppressed
    on suppressed.contact_point_id = messages.contact_point_id and suppressed.channel in (messages.channel, 'all')
where attempts.started_at > suppressed.recorded_at
