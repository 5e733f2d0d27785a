with source as (

    {{ current_rows(source('ledger', 'ledger__writebacks'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as writeback_id)
from source
