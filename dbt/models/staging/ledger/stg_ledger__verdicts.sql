with source as (

    {{ current_rows(source('ledger', 'ledger__verdicts'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as verdict_id)
from source
