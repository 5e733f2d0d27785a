with inbound_messages as (

    select * from {{ ref('stg_ledger__inbound_messages') }}
    where not is_auto_reply

)

select
    ---- ids
    inbound_messages.inbound_message_id,
    coalesce(canonical_people.lead_id, inbound_messages.person_id) as person_id,
    inbound_messages.contact_point_id,
    inbound_messages.in_reply_to_message_id,

    ---- text
    inbound_messages.channel,
    inbound_messages.intent,
    inbound_messages.sentiment,
    inbound_messages.reader,

    ---- numerics
    inbound_messages.confidence,

    ---- booleans
    inbound_messages.read_at is null as is_unread,
    {{ is_positive('inbound_messages.intent') }} as is_positive,
    {{ is_refusal('inbound_messages.intent') }} as is_refusal,

    ---- timestamps
    inbound_messages.received_at,
    inbound_messages.read_at
from inbound_messages
left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
