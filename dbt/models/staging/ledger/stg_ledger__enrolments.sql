with source as (

    {{ current_rows(source('ledger', 'ledger__enrolments'), 'id', 'xid') }}

)

select * exclude (xid)
from source
