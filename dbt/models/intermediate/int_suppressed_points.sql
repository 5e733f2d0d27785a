with latest as (

    select *
    from {{ ref('stg_ledger__suppressions') }}
    qualify row_number() over (partition by contact_point_id, channel order by recorded_at desc, suppression_id desc) = 1

)

select
    ---- ids
    contact_point_id,
    person_id,

    ---- text
    channel,
    suppression_source,

    ---- timestamps
    happened_at as suppressed_at
from latest
where action = 'suppress'
