with source as (

    {{ current_rows(source('fub', 'fub__notes'), 'note_id') }}

)

select * exclude (content_hash, is_deleted)
from source
where not is_deleted
