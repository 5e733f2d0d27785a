select * exclude (features)
from {{ source('scoring', 'lead_scores') }}
qualify row_number() over (partition by person_id order by scored_at desc) = 1
