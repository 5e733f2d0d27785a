{%- set measures = [('came_back', 30), ('appointment_or_deal', 90)] -%}

with as_of as (

    select * from {{ ref('int_as_of') }}

),

-- The first night that would have written to them puts a person into a group for good, whatever came of the message.
drawn as (

    select
        coalesce(canonical_people.lead_id, decisions.person_id) as person_id,
        decisions.plan,
        arg_min(decisions.outcome = 'control_group', decisions.decided_at) as is_control,
        min(decisions.day) as day,
        min(decisions.decided_at) as drawn_at
    from {{ ref('int_decisions') }} as decisions
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
    where decisions.planning = 'nightly' and (decisions.is_planned or decisions.outcome = 'control_group')
    group by 1, 2

),

-- Whom the plan met before it had a control group cannot be compared with one.
compared as (

    select *
    from drawn
    qualify day >= min(day) filter (where is_control) over (partition by plan)

),

signs as (

    select
        person_id,
        'came_back' as measure,
        received_at as happened_at
    from {{ ref('int_inbound_messages') }}
    union all
    select
        person_id,
        'came_back',
        coalesce(occurred_at, crm_created_at)
    from {{ ref('stg_fub__events') }}
    union all
    select
        person_id,
        'came_back',
        crm_created_at
    from {{ ref('stg_fub__calls') }}
    where is_incoming
    union all
    select
        person_id,
        'came_back',
        coalesce(sent_at, crm_created_at)
    from {{ ref('stg_fub__text_messages') }}
    where is_incoming
    union all
    select
        person_id,
        'appointment_or_deal',
        coalesce(crm_created_at, starts_at)
    from {{ ref('stg_fub__appointments') }}
    union all
    select
        person_id,
        'appointment_or_deal',
        crm_created_at
    from {{ ref('stg_fub__deals') }}
    where coalesce(status, '') <> 'Deleted'

),

signs_of_leads as (

    select
        signs.measure,
        signs.happened_at,
        coalesce(canonical_people.lead_id, signs.person_id) as person_id
    from signs
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)

),

measured as (
    {% for measure, days in measures %}
    select
        compared.plan,
        compared.person_id,
        compared.is_control,
        compared.drawn_at,
        '{{ measure }}' as measure,
        {{ days }} as days,
        compared.drawn_at + interval {{ days }} day <= as_of.as_of as is_over,
        exists (
            select 1
            from signs_of_leads
            where
                signs_of_leads.person_id = compared.person_id
                and signs_of_leads.measure = '{{ measure }}'
                and signs_of_leads.happened_at > compared.drawn_at
                and signs_of_leads.happened_at <= compared.drawn_at + interval {{ days }} day
        ) as is_met
    from compared
    cross join as_of
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

counted as (

    select
        plan,
        measure,
        days,
        count(*) filter (where not is_control) as count_treated,
        count(*) filter (where is_control) as count_control,
        count(*) filter (where is_over and not is_control) as count_treated_over,
        count(*) filter (where is_over and is_control) as count_control_over,
        count(*) filter (where is_over and is_met and not is_control) as count_treated_met,
        count(*) filter (where is_over and is_met and is_control) as count_control_met,
        min(drawn_at) as since_at
    from measured
    group by plan, measure, days

),

-- Agresti and Caffo: one met and one not met more in each group keeps the interval honest where groups are small.
adjusted as (

    select
        *,
        (count_treated_met + 1) / (count_treated_over + 2) as treated_adjusted,
        (count_control_met + 1) / (count_control_over + 2) as control_adjusted
    from counted

),

with_errors as (

    select
        *,
        1.96 * sqrt(
            treated_adjusted * (1 - treated_adjusted) / (count_treated_over + 2)
            + control_adjusted * (1 - control_adjusted) / (count_control_over + 2)
        ) as half_width,
        count_treated_over > 0 and count_control_over > 0 as is_comparable
    from adjusted

)

select
    ---- text
    plan,
    measure,

    ---- numerics
    days,
    count_treated,
    count_control,
    count_treated_over,
    count_control_over,
    count_treated_met,
    count_control_met,
    count_treated_met / nullif(count_treated_over, 0) as treated_rate,
    count_control_met / nullif(count_control_over, 0) as control_rate,
    count_treated_met / nullif(count_treated_over, 0) - count_control_met / nullif(count_control_over, 0) as lift,
    case when is_comparable then treated_adjusted - control_adjusted - half_width end as lift_low,
    case when is_comparable then treated_adjusted - control_adjusted + half_width end as lift_high,

    ---- timestamps
    since_at
from with_errors
