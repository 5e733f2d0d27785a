{%- set days = env_var('LEADPIPE_STARVING_AFTER_DAYS', '30') | int -%}
{%- set stop_stages = env_var('LEADPIPE_STOP_STAGES', 'Under Contract,Closed,Trash').split(',') -%}

with as_of as (

    select * from {{ ref('int_as_of') }}

),

reachable as (

    select
        leads.person_id,
        leads.assigned_to,
        leads.source,
        leads.stage,
        -- before leadpipe knew of them it could not touch them
        greatest(leads.created_at, ledger_people.first_seen_at) as known_since_at
    from {{ ref('int_leads') }} as leads
    inner join {{ ref('stg_ledger__people') }} as ledger_people using (person_id)
    left join {{ ref('int_suppressed_people') }} as suppressed using (person_id)
    where
        leads.is_contactable
        and not leads.is_automation_paused
        and ledger_people.deleted_at is null
        and leads.stage not in (
            {%- for stage in stop_stages %}'{{ stage | trim | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
        )
        and (
            (leads.email is not null and not coalesce(suppressed.is_email_suppressed, false))
            or (
                leads.phone_as_given is not null
                and not coalesce(suppressed.is_sms_suppressed and suppressed.is_whatsapp_suppressed, false)
            )
        )

),

touches as (

    select
        person_id,
        accepted_at as touched_at
    from {{ ref('int_messages') }}
    where is_accepted
    union all
    select
        person_id,
        received_at
    from {{ ref('int_inbound_messages') }}
    union all
    select
        coalesce(canonical_people.lead_id, actions.person_id),
        actions.acted_at
    from {{ ref('stg_ledger__human_actions') }} as actions
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
    union all
    select
        person_id,
        last_two_way_at
    from {{ ref('int_leads') }}
    union all
    select
        person_id,
        last_human_at
    from {{ ref('int_leads') }}

),

last_touches as (

    select
        person_id,
        max(touched_at) as last_touch_at
    from touches
    group by person_id

),

-- A message that did not go says why by its code, as long as that is news.
last_messages as (

    select
        person_id,
        max(created_at) as last_message_created_at,
        arg_max(concat_ws(':', state, code), created_at) as last_message,
        max(last_event_at) filter (where state in ('queued', 'held', 'review', 'sending', 'unknown', 'parked'))
            as under_way_since_at,
        max(last_event_at) filter (where code is not null) as reasoned_at
    from {{ ref('int_messages') }}
    group by person_id

),

passages as (

    select
        coalesce(canonical_people.lead_id, enrolments.person_id) as person_id,
        arg_max(enrolments.plan, enrolments.opened_at) as plan,
        arg_max(enrolments.step, enrolments.opened_at) as step,
        max(coalesce(enrolments.next_due_at, as_of.as_of)) as next_due_at
    from {{ ref('stg_ledger__enrolments') }} as enrolments
    cross join as_of
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)
    where enrolments.state in ('open', 'paused')
    group by 1

),

planned as (

    select
        person_id,
        max(planned_at) as planned_at,
        arg_max(outcome, planned_at) as outcome,
        arg_max(code, planned_at) as code
    from {{ source('outreach', 'queue') }}
    group by person_id

),

decided as (

    select
        person_id,
        max(decided_at) as decided_at
    from {{ ref('stg_ledger__decisions') }}
    where outcome not in ('enrolled', 'enqueued')
    group by person_id

),

known as (

    select
        reachable.*,
        last_touches.last_touch_at,
        greatest(reachable.known_since_at, last_touches.last_touch_at) as waits_since_at,
        passages.plan,
        passages.step,
        passages.next_due_at,
        last_messages.last_message,
        planned.outcome as planned_outcome,
        planned.code as planned_code,
        planned.planned_at,
        as_of.as_of,
        case
            when planned.planned_at is null then 'never_planned'
            when planned.planned_at < as_of.as_of - interval 2 day then 'planning_is_old'
            when planned.outcome = 'planned' then
                case
                    when planned.planned_at > as_of.as_of - interval 12 hour then 'planned'
                    when last_messages.last_message_created_at >= planned.planned_at then 'planned'
                    else 'planned_without_message'
                end
            when planned.outcome in ('not_due', 'outranked') then
                case
                    when passages.next_due_at >= as_of.as_of - interval 1 day then 'inside_a_plan'
                    else 'passage_stands_still'
                end
            when planned.outcome = 'waits' and planned.code = 'message_under_way' then
                case
                    when last_messages.under_way_since_at > as_of.as_of - interval {{ days }} day
                        then 'message_under_way'
                    else 'message_stands_still'
                end
            else 'reason_stated'
        end as what_is_known,
        coalesce(
            greatest(decided.decided_at, last_messages.reasoned_at) > as_of.as_of - interval {{ days }} day, false
        ) as has_late_reason
    from reachable
    cross join as_of
    left join last_touches using (person_id)
    left join last_messages using (person_id)
    left join passages using (person_id)
    left join planned using (person_id)
    left join decided using (person_id)

)

select
    ---- ids
    person_id,

    ---- text
    what_is_known,
    assigned_to,
    source,
    stage,
    plan,
    step,
    last_message,
    planned_outcome,
    planned_code,

    ---- numerics
    date_diff('day', waits_since_at, as_of) as days_without_touch,

    ---- timestamps
    last_touch_at,
    waits_since_at,
    planned_at,
    next_due_at
from known
where
    waits_since_at < as_of - interval {{ days }} day
    and not has_late_reason
    and what_is_known in (
        'never_planned', 'planning_is_old', 'planned_without_message', 'passage_stands_still', 'message_stands_still'
    )
