with as_of as (

    select * from {{ ref('int_as_of') }}

),

messages as (

    select
        *,
        {{ team_day('accepted_at') }} as day
    from {{ ref('int_messages') }}
    where is_accepted

),

delivered as (

    select
        'delivered' as kpi,
        '' as subject,
        messages.day,
        -- who complains has received it
        count(*) filter (where messages.is_delivered or messages.is_complained) as count_part,
        count(*) as count_whole,
        max(messages.accepted_at) + interval 24 hour <= any_value(as_of.as_of) as is_complete
    from messages
    cross join as_of
    where
        -- SNS reports no delivery to anybody but its own logs
        coalesce(messages.provider, '') <> 'sns'
        and (
            messages.state in ('delivered', 'undelivered', 'bounced', 'complained')
            or messages.accepted_at <= as_of.as_of - interval 24 hour
        )
    group by messages.day

),

services_up as (

    select
        'services_up' as kpi,
        service as subject,
        day,
        seconds_up as count_part,
        seconds_expected as count_whole,
        true as is_complete
    from {{ ref('stg_ledger__service_days') }}

),

work as (

    select
        {{ team_day('started_at') }} as day,
        coalesce(
            outcome = 'unknown'
            or (outcome = 'not_sent' and code is distinct from 'overtaken')
            or starts_with(code, 'unsendable_'), false
        ) as is_error
    from {{ ref('stg_ledger__attempts') }}
    where outcome is not null
    union all
    select
        {{ team_day('received_at') }},
        state = 'kept_aside' or coalesce(starts_with(reason, 'failed'), false)
    from {{ ref('stg_ledger__inbox') }}
    union all
    select
        {{ team_day('created_at') }},
        state = 'failed'
    from {{ ref('stg_ledger__writebacks') }}
    where state in ('done', 'failed')

),

errors as (

    select
        'errors' as kpi,
        '' as subject,
        day,
        count(*) filter (where is_error) as count_part,
        count(*) as count_whole,
        true as is_complete
    from work
    group by day

),

first_touch as (

    select
        'first_touch' as kpi,
        '' as subject,
        day,
        count(*) filter (where is_touched and waited_seconds <= 300) as count_part,
        count(*) as count_whole,
        bool_and(is_touched) as is_complete
    from {{ ref('int_first_touch_seconds') }}
    group by day

),

written_to as (

    select
        person_id,
        day,
        max(accepted_at) as last_accepted_at,
        bool_or(coalesce(first_reply_at <= accepted_at + interval 72 hour, false)) as has_answered
    from messages
    where purpose in ('marketing', 'inquiry_response')
    group by person_id, day

),

response as (

    select
        'response' as kpi,
        '' as subject,
        written_to.day,
        count(*) filter (where written_to.has_answered) as count_part,
        count(*) as count_whole,
        max(written_to.last_accepted_at) + interval 72 hour <= any_value(as_of.as_of) as is_complete
    from written_to
    cross join as_of
    group by written_to.day

),

conversions as (

    select
        coalesce(canonical_people.lead_id, appointments.person_id) as person_id,
        appointments.crm_created_at as converted_at
    from {{ ref('stg_fub__appointments') }} as appointments
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
    union all
    select
        person_id,
        closed_at as converted_at
    from {{ ref('int_closed_deals') }}

),

newcomers as (

    select
        leads.person_id,
        any_value(leads.created_at) as created_at,
        bool_or(coalesce(
            conversions.converted_at between leads.created_at and leads.created_at + interval 14 day, false
        )) as has_converted
    from {{ ref('int_leads') }} as leads
    left join conversions using (person_id)
    where leads.is_new_lead
    group by leads.person_id

),

conversion as (

    select
        'conversion' as kpi,
        '' as subject,
        {{ team_day('newcomers.created_at') }} as day,
        count(*) filter (where newcomers.has_converted) as count_part,
        count(*) as count_whole,
        max(newcomers.created_at) + interval 14 day <= any_value(as_of.as_of) as is_complete
    from newcomers
    cross join as_of
    group by 3

)

select * from delivered
union all
select * from services_up
union all
select * from errors
union all
select * from first_touch
union all
select * from response
union all
select * from conversion
