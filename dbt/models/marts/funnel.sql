with leads as (

    select * from {{ ref('leads') }}

),

positive as (

    select distinct person_id
    from {{ ref('stg_ledger__inbound_messages') }}
    where intent in ('interested', 'appointment', 'question', 'human')

),

appointments as (

    select distinct person_id from {{ ref('stg_fub__appointments') }}
    where person_id is not null

),

closed as (

    select distinct person_id from {{ ref('stg_fub__deals') }}
    where person_id is not null and lower(stage_name) like '%clos%'

)

select
    ---- text
    leads.stage,
    leads.source,

    ---- numerics
    count(*) as count_leads,
    count(*) filter (where leads.is_contactable) as count_contactable,
    count(*) filter (where leads.count_messages > 0) as count_touched,
    count(*) filter (where leads.has_replied) as count_replied,
    count(positive.person_id) as count_positive,
    count(appointments.person_id) as count_with_appointment,
    count(closed.person_id) as count_closed,
    count(*) filter (where leads.is_email_suppressed or leads.is_sms_suppressed) as count_opted_out
from leads
left join positive using (person_id)
left join appointments using (person_id)
left join closed using (person_id)
group by leads.stage, leads.source
