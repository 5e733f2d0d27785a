with source as (

    {{ current_rows(source('ledger', 'ledger__message_events'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as message_event_id, "at" as happened_at)
from source
