with attached as (

    select
        coalesce(canonical_people.lead_id, points.person_id) as person_id,
        points.contact_point_id
    from {{ ref('stg_ledger__person_contact_points') }} as points
    left join {{ ref('int_canonical_people') }} as canonical_people using (person_id)

)

select
    ---- ids
    attached.person_id,

    ---- booleans
    bool_or(suppressed.channel = 'email') as is_email_suppressed,
    bool_or(suppressed.channel = 'sms') as is_sms_suppressed,
    bool_or(suppressed.channel = 'whatsapp') as is_whatsapp_suppressed,

    ---- timestamps
    min(suppressed.suppressed_at) as first_suppressed_at
from attached
inner join {{ ref('int_suppressed_points') }} as suppressed using (contact_point_id)
group by attached.person_id
