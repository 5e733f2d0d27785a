with source as (

    {{ current_rows(source('ledger', 'ledger__consents'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as consent_id, "at" as consented_at, source as consent_source)
from source
