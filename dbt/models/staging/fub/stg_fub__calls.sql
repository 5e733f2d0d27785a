with source as (

    {{ current_rows(source('fub', 'fub__calls'), 'call_id', 'landed_at') }}

)

select * exclude (content_hash)
from source
where not is_deleted
