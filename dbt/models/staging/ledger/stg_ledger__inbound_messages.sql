with source as (

    {{ current_rows(source('ledger', 'ledger__inbound_messages'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as inbound_message_id, in_reply_to as in_reply_to_message_id)
from source
