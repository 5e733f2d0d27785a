with messages as (

    select
        {{ team_day('accepted_at') }} as day,
        channel as kind,
        count(*) as count_units,
        sum(
            case channel
                when 'email' then {{ var('email_usd') }}
                when 'sms' then greatest(segments, 1) * {{ var('sms_segment_usd') }}
                when 'whatsapp' then {{ var('whatsapp_usd') }}
            end
        ) as cost_usd
    from {{ ref('int_messages') }}
    where is_accepted
    group by 1, 2

),

tokens as (

    select
        {{ team_day('used_at') }} as day,
        'model:' || model as kind,
        sum(input_tokens + output_tokens) as count_units,
        sum(cost_usd) as cost_usd
    from {{ ref('stg_ledger__token_usage') }}
    group by 1, 2

)

select * from messages
union all
select * from tokens
