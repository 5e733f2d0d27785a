with source as (

    {{ current_rows(source('ledger', 'ledger__person_contact_points'), 'person_id, contact_point_id', 'xid') }}

)

select * exclude (xid)
from source
