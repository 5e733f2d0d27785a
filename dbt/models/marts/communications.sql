with outbound as (

    select
        'message:' || message_id as communication_id,
        person_id,
        'out' as direction,
        channel,
        'leadpipe' as author,
        cast(null as bigint) as user_id,
        plan,
        step,
        state as outcome,
        accepted_at as happened_at
    from {{ ref('int_messages') }}
    where is_accepted

),

inbound as (

    select
        'inbound:' || inbound_message_id as communication_id,
        person_id,
        'in' as direction,
        channel,
        'lead' as author,
        cast(null as bigint) as user_id,
        cast(null as varchar) as plan,
        cast(null as varchar) as step,
        intent as outcome,
        received_at as happened_at
    from {{ ref('int_inbound_messages') }}

),

by_agents as (

    select
        'human:' || human_action_id as communication_id,
        person_id,
        'out' as direction,
        case kind when 'text' then 'sms' else kind end as channel,
        'agent' as author,
        user_id,
        cast(null as varchar) as plan,
        cast(null as varchar) as step,
        cast(null as varchar) as outcome,
        acted_at as happened_at
    from {{ ref('stg_ledger__human_actions') }}

),

-- Said to an agent in the CRM: leadpipe saw it, and answered none of it.
crm_calls as (

    select
        'crm_call:' || call_id as communication_id,
        person_id,
        'in' as direction,
        'call' as channel,
        'lead' as author,
        user_id,
        cast(null as varchar) as plan,
        cast(null as varchar) as step,
        outcome,
        crm_created_at as happened_at
    from {{ ref('stg_fub__calls') }}
    where is_incoming and person_id is not null

),

crm_texts as (

    select
        'crm_text:' || text_message_id as communication_id,
        person_id,
        'in' as direction,
        'sms' as channel,
        'lead' as author,
        user_id,
        cast(null as varchar) as plan,
        cast(null as varchar) as step,
        cast(null as varchar) as outcome,
        sent_at as happened_at
    from {{ ref('stg_fub__text_messages') }}
    -- an external text is one that leadpipe logged there itself
    where is_incoming and not is_external and person_id is not null

)

select * from outbound
union all
select * from inbound
union all
select * from by_agents
union all
select * from crm_calls
union all
select * from crm_texts
