with source as (

    {{ current_rows(source('ledger', 'ledger__qualifications'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as qualification_id, "at" as told_at, inbound_id as inbound_message_id)
from source
