-- A source is the same in any spelling of capitals; the CRM's spelling is shown.
with leads as (

    select
        person_id,
        source,
        lower(trim(source)) as source_key,
        cohort_month as month
    from {{ ref('leads') }}

),

counted as (

    select
        source_key,
        month,
        count(*) as count_leads
    from leads
    group by source_key, month

),

revenue as (

    select
        leads.source_key,
        leads.month,
        count(*) as count_deals,
        sum(deals.commission_usd) as commission_usd
    from {{ ref('int_closed_deals') }} as deals
    inner join leads using (person_id)
    group by leads.source_key, leads.month

),

spend as (

    select
        lower(source) as source_key,
        month,
        min(source) as source,
        sum(spend_usd) as spend_usd
    from {{ ref('stg_team__spend') }}
    group by 1, 2

),

keys as (

    select source_key, month from counted
    union
    select source_key, month from spend

),

spelling as (

    select
        source_key,
        min(source) as source
    from leads
    group by source_key

)

select
    ---- text
    coalesce(spelling.source, spend.source) as source,

    ---- numerics
    coalesce(counted.count_leads, 0) as count_leads,
    coalesce(revenue.count_deals, 0) as count_deals,
    -- A month that nobody wrote down is not a month without spending.
    spend.spend_usd,
    coalesce(revenue.commission_usd, 0) as commission_usd,
    case when counted.count_leads > 0 then spend.spend_usd / counted.count_leads end as spend_per_lead_usd,
    case
        when spend.spend_usd > 0 then (coalesce(revenue.commission_usd, 0) - spend.spend_usd) / spend.spend_usd
    end as roi,

    ---- timestamps
    keys.month
from keys
left join counted using (source_key, month)
left join spend using (source_key, month)
left join revenue using (source_key, month)
left join spelling using (source_key)
