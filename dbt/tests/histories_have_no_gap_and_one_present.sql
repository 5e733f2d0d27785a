with states as (

    select
        'lead' as history,
        cast(person_id as varchar) as id,
        is_current,
        valid_from,
        valid_to
    from {{ ref('lead_history') }}
    union all
    select
        'message',
        message_id,
        is_current,
        valid_from,
        valid_to
    from {{ ref('message_history') }}

)

select
    history,
    id
from states
group by history, id
having count(*) filter (where is_current) <> 1 or bool_or(is_current <> (valid_to is null))
