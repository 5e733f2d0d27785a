select
    message_id,
    last_verdict
from {{ ref('message_lineage') }}
where accepted_at is not null and last_verdict is distinct from 'ALLOW'
