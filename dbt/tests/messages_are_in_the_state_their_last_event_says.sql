-- Every change of a message's state leaves an event; one without would be a change nobody can explain.
select
    messages.message_id,
    messages.state,
    history.state as last_event_state
from {{ ref('int_messages') }} as messages
left join {{ ref('message_history') }} as history on history.message_id = messages.message_id and history.is_current
where messages.state is distinct from history.state
