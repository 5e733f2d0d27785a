with suppressions as (

    select * from {{ ref('stg_ledger__suppressions') }}

),

channels as (

    select unnest(['email', 'sms', 'whatsapp']) as channel

),

latest as (

    select
        suppressions.* exclude (channel),
        channels.channel
    from suppressions
    inner join channels on suppressions.channel in (channels.channel, 'all')
    qualify
        row_number() over (
            partition by suppressions.contact_point_id, channels.channel
            order by suppressions.happened_at desc, suppressions.suppression_id desc
        ) = 1

)

select
    ---- ids
    contact_point_id,

    ---- text
    channel,
    suppression_source,

    ---- timestamps
    happened_at as suppressed_at
from latest
where action = 'suppress'
