with source as (

    {{ current_rows(source('ledger', 'ledger__quarantine'), 'id', 'xid') }}

)

select * exclude (xid)
from source
