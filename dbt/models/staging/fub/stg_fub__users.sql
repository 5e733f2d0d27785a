with source as (

    {{ current_rows(source('fub', 'fub__users'), 'user_id') }}

)

select * exclude (content_hash, is_deleted)
from source
where not is_deleted
