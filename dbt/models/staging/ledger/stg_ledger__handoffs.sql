with source as (

    {{ current_rows(source('ledger', 'ledger__handoffs'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as handoff_id)
from source
