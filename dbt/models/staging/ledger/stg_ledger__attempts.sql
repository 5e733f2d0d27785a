with source as (

    {{ current_rows(source('ledger', 'ledger__attempts'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as attempt_id)
from source
