{{ config(materialized='view') }}

with versions as (

    select
        *,
        hash(stage, source, assigned_user_id, price_usd, zip, tags, is_deleted) as tracked
    from {{ source('fub', 'fub__people') }}

),

-- A version in which nothing tracked changed is no state of its own.
changes as (

    select *
    from versions
    qualify
        tracked is distinct from lag(tracked) over (partition by person_id order by landed_at)
        or row_number() over (partition by person_id order by landed_at) = 1

)

select
    ---- ids
    person_id,
    assigned_user_id,

    ---- text
    stage,
    coalesce(source, '<unspecified>') as source,
    assigned_to,
    zip,
    tags,

    ---- numerics
    price_usd,

    ---- booleans
    is_deleted,
    lead(landed_at) over (partition by person_id order by landed_at) is null as is_current,

    ---- timestamps
    crm_updated_at,
    landed_at as valid_from,
    lead(landed_at) over (partition by person_id order by landed_at) as valid_to
from changes
