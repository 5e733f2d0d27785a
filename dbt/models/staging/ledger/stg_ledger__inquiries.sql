with source as (

    {{ current_rows(source('ledger', 'ledger__inquiries'), 'event_id', 'xid') }}

)

select * exclude (xid)
from source
