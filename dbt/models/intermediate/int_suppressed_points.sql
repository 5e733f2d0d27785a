with latest as (

    select *
    from {{ ref('stg_ledger__suppressions') }}
    qualify row_number() over (partition by contact_point_id, channel order by recorded_at desc, id desc) = 1

)

select
    ---- ids
    contact_point_id,
    person_id,

    ---- text
    channel,
    source,

    ---- timestamps
    at as suppressed_at
from latest
where action = 'suppress'
