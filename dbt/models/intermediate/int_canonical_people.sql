with recursive people as (

    select
        person_id,
        merged_into_person_id
    from {{ ref('stg_ledger__people') }}

),

chain as (

    select
        person_id,
        person_id as lead_id,
        merged_into_person_id as next_id,
        0 as hops
    from people
    union all
    select
        chain.person_id,
        people.person_id,
        people.merged_into_person_id,
        chain.hops + 1
    from chain
    inner join people on people.person_id = chain.next_id
    where chain.hops < 10

)

select
    ---- ids
    person_id,
    arg_max(lead_id, hops) as lead_id
from chain
group by person_id
