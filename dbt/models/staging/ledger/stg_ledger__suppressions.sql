with source as (

    {{ current_rows(source('ledger', 'ledger__suppressions'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as suppression_id, "at" as happened_at, inbound_id as inbound_message_id, source as suppression_source)
from source
