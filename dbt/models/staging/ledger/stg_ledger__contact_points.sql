with source as (

    {{ current_rows(source('ledger', 'ledger__contact_points'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as contact_point_id)
from source
