with messages as (

    select
        {{ team_day('accepted_at') }} as day,
        'message' as category,
        channel as item,
        count(*) as count_units,
        cast(sum(greatest(segments, 1)) filter (where channel = 'sms') as bigint) as count_segments,
        cast(null as bigint) as count_tokens,
        sum(
            case channel
                when 'email' then {{ var('email_usd') }}
                when 'sms' then greatest(segments, 1) * {{ var('sms_segment_usd') }}
                when 'whatsapp' then {{ var('whatsapp_usd') }}
            end
        ) as cost_usd
    from {{ ref('int_messages') }}
    where is_accepted
    group by 1, 3

),

tokens as (

    select
        {{ team_day('used_at') }} as day,
        'model' as category,
        model || ':' || purpose as item,
        count(*) as count_units,
        cast(null as bigint) as count_segments,
        cast(sum(input_tokens + output_tokens) as bigint) as count_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('stg_ledger__token_usage') }}
    group by 1, 3

)

select * from messages
union all
select * from tokens
