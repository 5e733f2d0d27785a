"""What became of past leads, and the rows to learn from.

What lives here: outcomes, the moments looked at, the training rows. What does not: features (``features``), fitting
(``train``).

An outcome is an appointment or a deal, dated when it was entered. The label says whether one came within 90 days of
the lead's creation. Leads whose 90 days are not over teach nothing yet and are left out; so are moments after the
outcome, when there is nothing left to foretell.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from leadpipe.scoring.features import PEOPLE, feature_frame

if TYPE_CHECKING:
    import pandas as pd

    from leadpipe.store.lake import Lake

HORIZON = timedelta(days=90)
# A lead is looked at on arrival and again later, so that replies and silence are learned too. Arrival is a quarter of
# an hour after creation: the CRM stores the person first and the inquiry seconds later.
MOMENTS: dict[str, timedelta] = {
    "arrival": timedelta(minutes=15),
    "day_1": timedelta(days=1),
    "day_7": timedelta(days=7),
    "day_30": timedelta(days=30),
}

_OUTCOMES = """
    with appointments as (
        select json_extract(payload, '$.invitees[*].personId') as people,
            coalesce(crm_created_at, starts_at) as entered_at
        from raw.fub__appointments
        qualify row_number() over (partition by appointment_id order by landed_at desc) = 1 and not is_deleted
    ), deals as (
        select json_extract(payload, '$.people[*].id') as people, crm_created_at as entered_at
        from raw.fub__deals
        qualify row_number() over (partition by deal_id order by landed_at desc) = 1
            and not is_deleted and coalesce(status, '') <> 'Deleted'
    ), outcomes as (
        select try_cast(unnest(people) as bigint) as person_id, entered_at
        from (select * from appointments union all select * from deals)
    )
    select person_id, min(entered_at) as outcome_at from outcomes
    where person_id is not null and entered_at is not null group by person_id
"""

_MOMENTS = f"""
    with people as (
        select person_id, crm_created_at as created_at from {PEOPLE}
        where merged_into is null and deleted_at is null and crm_created_at <= $finished_by
    ), outcomes as ({_OUTCOMES})
    select p.person_id, p.created_at, m.moment, p.created_at + m.after_seconds * interval 1 second as moment_at,
        o.outcome_at,
        coalesce(o.outcome_at <= p.created_at + interval {HORIZON.days} day, false) as label
    from people p cross join (select unnest($names) as moment, unnest($seconds) as after_seconds) m
    left join outcomes o using (person_id)
    where o.outcome_at is null or o.outcome_at > p.created_at + m.after_seconds * interval 1 second
    order by p.person_id, moment_at
"""  # noqa: S608 - our own names


def training_rows(lake: Lake, *, now: datetime, timezone: str) -> pd.DataFrame:
    """Everything there is to learn from at ``now``. Grain: person x moment.

    Returns:
        The columns of ``feature_frame`` with ``moment``, ``created_at`` and ``label`` (0 or 1), oldest lead first.
    """
    with lake.connect(read_only=True) as connection:
        rows = connection.execute(
            _MOMENTS,
            {
                "finished_by": now - HORIZON,
                "names": list(MOMENTS),
                "seconds": [after.total_seconds() for after in MOMENTS.values()],
            },
        ).to_arrow_table()
    frame = feature_frame(lake, rows.select(["person_id", "moment_at"]), timezone=timezone)
    labels = rows.select(["person_id", "moment_at", "moment", "created_at", "label"]).to_pandas()
    joined = frame.merge(labels, on=["person_id", "moment_at"], validate="one_to_one")
    joined["label"] = joined["label"].astype("int64")
    return joined.sort_values(["created_at", "person_id", "moment_at"], kind="stable", ignore_index=True)
