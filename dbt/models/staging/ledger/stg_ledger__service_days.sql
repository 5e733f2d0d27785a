with source as (

    {{ current_rows(source('ledger', 'ledger__service_days'), 'service, day', 'xid') }}

)

select * exclude (xid) replace (cast(day as date) as day)
from source
