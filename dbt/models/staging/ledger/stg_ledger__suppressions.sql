with source as (

    {{ current_rows(source('ledger', 'ledger__suppressions'), 'id', 'xid') }}

)

select * exclude (xid)
from source
