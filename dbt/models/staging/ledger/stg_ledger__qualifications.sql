with source as (

    {{ current_rows(source('ledger', 'ledger__qualifications'), 'id', 'xid') }}

)

select * exclude (xid)
from source
