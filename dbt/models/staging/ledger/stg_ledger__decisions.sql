with source as (

    {{ current_rows(source('ledger', 'ledger__decisions'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as decision_id, "at" as decided_at)
from source
