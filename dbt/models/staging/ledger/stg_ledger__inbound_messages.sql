with source as (

    {{ current_rows(source('ledger', 'ledger__inbound_messages'), 'id', 'xid') }}

)

select * exclude (xid)
from source
