{{ config(alias='queue') }}

with conversations as (

    select * from {{ ref('stg_ledger__conversations') }}
    where state <> 'closed' and awaits <> 'nobody'

),

unread as (

    select
        person_id,
        count(*) as count_unread
    from {{ ref('int_inbound_messages') }}
    where is_unread
    group by person_id

),

open_handoffs as (

    select * from {{ ref('stg_ledger__handoffs') }}
    where closed_at is null

)

select
    ---- ids
    conversations.person_id,
    conversations.assigned_user_id,
    open_handoffs.handoff_id,

    ---- text
    conversations.awaits,
    conversations.state,
    conversations.reason,
    users.name as agent,

    ---- numerics
    conversations.turns as count_turns,
    coalesce(unread.count_unread, 0) as count_unread,
    coalesce(open_handoffs.alerts, 0) as count_alerts,

    ---- timestamps
    conversations.since_at,
    conversations.last_inbound_at,
    conversations.last_outbound_at
from conversations
left join unread using (person_id)
left join open_handoffs using (person_id)
left join {{ ref('stg_fub__users') }} as users on users.user_id = conversations.assigned_user_id
