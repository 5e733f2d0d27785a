with source as (

    {{ current_rows(source('ledger', 'ledger__human_actions'), 'id', 'xid') }}

)

select * exclude (xid)
from source
