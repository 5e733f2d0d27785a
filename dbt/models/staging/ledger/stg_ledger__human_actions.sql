with source as (

    {{ current_rows(source('ledger', 'ledger__human_actions'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as human_action_id, "at" as acted_at)
from source
