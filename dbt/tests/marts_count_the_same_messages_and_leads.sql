-- Figures of different marts are laid side by side, so they must add up to the same. Only on a lake that stands still:
-- in a running one the mirror brings rows between one mart and the next.
{{ config(enabled=env_var('LEADPIPE_LAKE_STANDS_STILL', 'no') == 'yes') }}

with totals as (

    select
        (select count(*) from {{ ref('leads') }}) as leads,
        (select coalesce(sum(count_leads), 0) from {{ ref('funnel') }}) as leads_in_funnel,
        (select coalesce(sum(count_leads), 0) from {{ ref('source_roi') }}) as leads_in_roi,
        (select count(*) from {{ ref('message_lineage') }} where accepted_at is not null) as accepted,
        (select coalesce(sum(count_accepted), 0) from {{ ref('plan_performance') }}) as accepted_in_plans,
        (select coalesce(sum(count_accepted), 0) from {{ ref('deliverability') }}) as accepted_by_provider,
        (select count(*) from {{ ref('communications') }} where author = 'leadpipe') as accepted_said,
        (select coalesce(sum(count_units), 0) from {{ ref('daily_costs') }} where category = 'message') as accepted_paid

)

select *
from totals
where
    leads <> leads_in_funnel
    or leads <> leads_in_roi
    or accepted not in (accepted_in_plans, accepted_by_provider)
    or accepted not in (accepted_said, accepted_paid)
    or accepted_in_plans <> accepted_by_provider
    or accepted_said <> accepted_paid
