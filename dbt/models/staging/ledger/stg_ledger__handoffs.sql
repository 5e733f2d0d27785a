with source as (

    {{ current_rows(source('ledger', 'ledger__handoffs'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as handoff_id, inbound_id as inbound_message_id)
from source
