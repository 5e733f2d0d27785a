with source as (

    {{ current_rows(source('fub', 'fub__notes'), 'note_id', 'landed_at') }}

)

select * exclude (content_hash)
from source
where not is_deleted
