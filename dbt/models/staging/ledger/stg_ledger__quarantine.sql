with source as (

    {{ current_rows(source('ledger', 'ledger__quarantine'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as quarantine_id, "at" as set_aside_at)
from source
