with source as (

    {{ current_rows(source('fub', 'fub__people'), 'person_id', 'landed_at') }}

)

select * exclude (content_hash)
from source
where not is_deleted
