with source as (

    {{ current_rows(source('ledger', 'ledger__message_events'), 'id', 'xid') }}

)

select * exclude (xid)
from source
