with source as (

    {{ current_rows(source('ledger', 'ledger__consents'), 'id', 'xid') }}

)

select * exclude (xid)
from source
