with source as (

    {{ current_rows(source('ledger', 'ledger__token_usage'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as token_usage_id, "at" as used_at)
from source
