with source as (

    {{ current_rows(source('fub', 'fub__text_messages'), 'text_message_id', 'landed_at') }}

)

select * exclude (content_hash)
from source
where not is_deleted
