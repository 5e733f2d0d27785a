{{ config(alias='queue') }}

-- The same question as leadpipe/conversation/queue.py asks the ledger; a test compares the two.

with people as (

    select * from {{ ref('stg_ledger__people') }}

),

conversations as (

    select * from {{ ref('stg_ledger__conversations') }}

),

inbound_messages as (

    select * from {{ ref('stg_ledger__inbound_messages') }}

),

unread as (

    select
        person_id,
        count(*) as count_unread,
        min(received_at) as since_at,
        max(received_at) as last_at
    from inbound_messages
    where read_at is null
    group by person_id

),

said as (

    select
        person_id,
        intent as last_intent
    from inbound_messages
    where read_at is not null and not is_auto_reply
    qualify row_number() over (partition by person_id order by received_at desc, inbound_message_id desc) = 1

),

open_handoffs as (

    select * from {{ ref('stg_ledger__handoffs') }}
    where closed_at is null

)

select
    ---- ids
    people.person_id,
    people.assigned_user_id,
    open_handoffs.handoff_id,

    ---- text
    -- A reply that nobody has read yet awaits the assistant, whoever was to act before it came.
    case when unread.person_id is not null then 'assistant' else conversations.awaits end as awaits,
    case when unread.person_id is not null then 'unread' else conversations.state end as state,
    coalesce(open_handoffs.reason, conversations.reason, '') as reason,
    said.last_intent,
    people.automation_paused_reason as paused_by,
    users.name as agent,

    ---- numerics
    coalesce(conversations.turns, 0) as count_turns,
    coalesce(unread.count_unread, 0) as count_unread,
    coalesce(open_handoffs.alerts, 0) as count_alerts,

    ---- timestamps
    coalesce(unread.since_at, conversations.since_at) as since_at,
    coalesce(unread.last_at, conversations.last_inbound_at) as last_inbound_at,
    conversations.last_outbound_at
from people
left join conversations on conversations.person_id = people.person_id
left join unread on unread.person_id = people.person_id
left join open_handoffs on open_handoffs.person_id = people.person_id
left join said on said.person_id = people.person_id
left join {{ ref('stg_fub__users') }} as users on users.user_id = people.assigned_user_id
where
    unread.person_id is not null
    or open_handoffs.handoff_id is not null
    or conversations.awaits in ('agent', 'lead')
    or conversations.state = 'paused'
