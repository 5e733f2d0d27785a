-- No model asks the database for the time: in a simulated system it is another, and a rebuild must give the same.
select
    ---- timestamps
    max(happened_at) as as_of
from (
    select max(counted_at) as happened_at from {{ ref('stg_ledger__service_days') }}
    union all
    select max(happened_at) from {{ ref('stg_ledger__message_events') }}
    union all
    select max(received_at) from {{ ref('stg_ledger__inbox') }}
    union all
    select max(received_at) from {{ ref('stg_ledger__inbound_messages') }}
    union all
    select max(refreshed_at) from {{ ref('stg_ledger__people') }}
    union all
    select max(decided_at) from {{ ref('stg_ledger__decisions') }}
)
