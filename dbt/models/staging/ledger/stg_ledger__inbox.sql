with source as (

    {{ current_rows(source('ledger', 'ledger__inbox'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as inbox_id)
from source
