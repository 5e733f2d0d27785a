with source as (

    {{ current_rows(source('ledger', 'ledger__decisions'), 'id', 'xid') }}

)

select * exclude (xid)
from source
