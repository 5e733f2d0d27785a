with source as (

    {{ current_rows(source('ledger', 'ledger__token_usage'), 'id', 'xid') }}

)

select * exclude (xid)
from source
