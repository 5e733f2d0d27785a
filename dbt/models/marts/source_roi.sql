with spend as (

    select
        cast(month as date) as month,
        source,
        sum(spend_usd) as spend_usd
    from {{ source('raw', 'spend') }}
    group by 1, 2

),

leads as (

    select
        cohort_month as month,
        source,
        count(*) as count_leads
    from {{ ref('leads') }}
    group by 1, 2

),

revenue as (

    select
        leads.cohort_month as month,
        leads.source,
        count(*) as count_deals,
        sum(deals.commission_usd) as commission_usd
    from {{ ref('stg_fub__deals') }} as deals
    inner join {{ ref('leads') }} as leads using (person_id)
    where lower(deals.stage_name) like '%clos%' and coalesce(deals.status, '') <> 'Deleted'
    group by 1, 2

),

keys as (

    select month, source from leads
    union
    select month, source from spend

)

select
    ---- text
    keys.source,

    ---- numerics
    coalesce(leads.count_leads, 0) as count_leads,
    coalesce(revenue.count_deals, 0) as count_deals,
    coalesce(spend.spend_usd, 0) as spend_usd,
    coalesce(revenue.commission_usd, 0) as commission_usd,
    case when leads.count_leads > 0 then spend.spend_usd / leads.count_leads end as spend_per_lead_usd,
    case when spend.spend_usd > 0 then (coalesce(revenue.commission_usd, 0) - spend.spend_usd) / spend.spend_usd end as roi,

    ---- timestamps
    keys.month
from keys
left join leads using (month, source)
left join spend using (month, source)
left join revenue using (month, source)
