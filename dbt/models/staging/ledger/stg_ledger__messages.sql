with source as (

    {{ current_rows(source('ledger', 'ledger__messages'), 'id', 'xid') }}

)

select * exclude (xid)
from source
