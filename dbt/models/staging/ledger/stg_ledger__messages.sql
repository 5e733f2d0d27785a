with source as (

    {{ current_rows(source('ledger', 'ledger__messages'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as message_id)
from source
