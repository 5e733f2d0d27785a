with source as (

    {{ current_rows(source('ledger', 'ledger__people'), 'person_id', 'xid') }}

)

select * exclude (xid) rename (merged_into as merged_into_person_id)
from source
