with outbound as (

    select
        'message:' || message_id as communication_id,
        person_id,
        'out' as direction,
        channel,
        'leadpipe' as author,
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
        cast(null as varchar) as plan,
        cast(null as varchar) as step,
        intent as outcome,
        received_at as happened_at
    from {{ ref('stg_ledger__inbound_messages') }}
    where not is_auto_reply

),

people as (

    select
        'human:' || human_action_id as communication_id,
        person_id,
        'out' as direction,
        kind as channel,
        'agent' as author,
        cast(null as varchar) as plan,
        cast(null as varchar) as step,
        cast(null as varchar) as outcome,
        acted_at as happened_at
    from {{ ref('stg_ledger__human_actions') }}

)

select * from outbound
union all
select * from inbound
union all
select * from people
