{{ config(materialized='view') }}

select
    ---- ids
    events.message_id,
    messages.person_id,

    ---- text
    messages.plan,
    messages.step,
    messages.channel,
    events.to_state as state,
    events.event,
    events.code,

    ---- booleans
    lead(events.happened_at) over message is null as is_current,

    ---- timestamps
    events.happened_at as valid_from,
    lead(events.happened_at) over message as valid_to
from {{ ref('stg_ledger__message_events') }} as events
inner join {{ ref('int_messages') }} as messages using (message_id)
window message as (partition by events.message_id order by events.message_event_id)
