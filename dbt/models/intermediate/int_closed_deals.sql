select
    ---- ids
    deal_id,
    coalesce(canonical_people.lead_id, deals.person_id) as person_id,

    ---- numerics
    deals.price_usd,
    coalesce(deals.commission_usd, 0) as commission_usd,

    ---- timestamps
    deals.entered_stage_at as closed_at
from {{ ref('stg_fub__deals') }} as deals
left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
where
    lower(trim(deals.stage_name)) in ('{{ var("closed_deal_stages") | map("lower") | join("', '") }}')
    and coalesce(deals.status, '') <> 'Deleted'
