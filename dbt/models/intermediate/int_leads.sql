with people as (

    select * from {{ ref('stg_fub__people') }}

),

ledger_people as (

    select * from {{ ref('stg_ledger__people') }}

)

select
    ---- ids
    people.person_id,
    people.assigned_user_id,

    ---- text
    people.first_name,
    people.last_name,
    nullif(lower(trim(people.email)), '') as email,
    {{ e164('people.phone') }} as phone,
    people.phone as phone_as_given,
    coalesce(people.stage, '<none>') as stage,
    people.type as lead_type,
    coalesce(people.source, '<unspecified>') as source,
    people.assigned_to,
    people.zip,
    people.city,
    people.state,
    nullif(ledger_people.outcome, 'enrolled') as no_message_reason,
    ledger_people.automation_paused_reason,

    ---- numerics
    people.price_usd,
    people.properties_viewed,
    people.properties_saved,

    ---- booleans
    coalesce(ledger_people.is_new_lead, false) as is_new_lead,
    people.email is not null or people.phone is not null as is_contactable,
    ledger_people.automation_paused_at is not null as is_automation_paused,

    ---- timestamps
    people.crm_created_at as created_at,
    people.crm_updated_at as updated_at,
    cast(date_trunc('month', people.crm_created_at at time zone 'UTC') as date) as cohort_month,
    coalesce(
        ledger_people.last_two_way_at,
        greatest(people.last_received_email_at, people.last_received_text_at, people.last_incoming_call_at)
    ) as last_two_way_at,
    ledger_people.last_human_at,
    ledger_people.automation_paused_at
from people
left join ledger_people using (person_id)
where ledger_people.merged_into_person_id is null
