with source as (

    {{ current_rows(source('ledger', 'ledger__verdicts'), 'id', 'xid') }}

)

select * exclude (xid)
from source
