with source as (

    {{ current_rows(source('ledger', 'ledger__enrolments'), 'id', 'xid') }}

)

select * exclude (xid) rename (id as enrolment_id)
from source
