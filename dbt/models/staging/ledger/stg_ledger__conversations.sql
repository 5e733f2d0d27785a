with source as (

    {{ current_rows(source('ledger', 'ledger__conversations'), 'person_id', 'xid') }}

)

select * exclude (xid)
from source
