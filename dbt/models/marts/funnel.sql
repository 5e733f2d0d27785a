with leads as (

    select * from {{ ref('leads') }}

),

appointments as (

    select distinct coalesce(canonical_people.lead_id, appointments.person_id) as person_id
    from {{ ref('stg_fub__appointments') }} as appointments
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)

),

closed as (

    select distinct person_id from {{ ref('int_closed_deals') }}

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
    count(*) filter (where leads.has_positive_reply) as count_positive,
    count(appointments.person_id) as count_with_appointment,
    count(closed.person_id) as count_closed,
    count(*) filter (
        where leads.is_email_suppressed or leads.is_sms_suppressed or leads.is_whatsapp_suppressed
    ) as count_opted_out
from leads
left join appointments using (person_id)
left join closed using (person_id)
group by leads.stage, leads.source
