select
    ---- text
    trim(source) as source,

    ---- numerics
    sum(spend_usd) as spend_usd,

    ---- timestamps
    cast(date_trunc('month', month) as date) as month
from {{ source('team', 'spend') }}
group by 1, 3
