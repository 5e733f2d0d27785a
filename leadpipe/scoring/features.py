"""What the score may look at, as of a moment of the lead's own.

What lives here: the allow-list of features and the one query that computes them. What does not: outcomes (``labels``),
models (``train``, ``prior``).

Fair housing (compliance C37) decides the list: where the lead came from, what they asked, how they answered, when. No
name, no language, no address, no ZIP code, nothing about who lives where. A test holds scores equal across names.

Nothing later than the moment counts. What the CRM keeps only as a running total (homes viewed, texts received) or
only as it is today (the stage of an imported lead) cannot be dated and is not used: a busy total is often the outcome
itself. Two facts of arrival, source and kind of lead, and the price are read from the first version ever seen when no
earlier one is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.crm.inquiries import INQUIRY_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from leadpipe.store.lake import Lake

# Hours beyond which "long ago" is all there is to say; it also keeps old leads inside what training has seen.
LONGEST_HOURS = 30 * 24.0
UNKNOWN = "unknown"
_VIEWS = ("Viewed Property", "Saved Property", "Saved Property Search", "Virtually Toured Property", "Viewed Page")


@dataclass(frozen=True)
class Feature:
    """One input of the score: its column and whether it is a number or a word."""

    name: str
    is_number: bool = True


FEATURES: tuple[Feature, ...] = (
    Feature("source", is_number=False),
    Feature("lead_type", is_number=False),
    Feature("stage", is_number=False),
    Feature("inquiry_type", is_number=False),
    Feature("property_type", is_number=False),
    Feature("side", is_number=False),
    Feature("price_usd"),
    Feature("count_inquiries"),
    Feature("count_views"),
    Feature("count_replies"),
    Feature("hours_since_inquiry"),
    Feature("hours_since_reply"),
    Feature("hours_since_touch"),
    Feature("age_hours"),
    Feature("arrival_hour"),
    Feature("arrival_weekday"),
    Feature("timeline_months"),
    Feature("has_budget"),
    Feature("has_place"),
)
NAMES = tuple(feature.name for feature in FEATURES)
WORDS = tuple(feature.name for feature in FEATURES if not feature.is_number)
NUMBERS = tuple(feature.name for feature in FEATURES if feature.is_number)

MOMENTS_SCHEMA = pa.schema([("person_id", pa.int64()), ("moment_at", pa.timestamp("us", tz="UTC"))])


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def _newest(table: str, columns: str, key: str = "id") -> str:
    return (
        f"(select {columns} from raw.ledger__{table} "  # noqa: S608 - our own names
        f"qualify row_number() over (partition by {key} order by xid desc) = 1)"
    )


def _current(table: str, columns: str, key: str) -> str:
    return (
        f"(select {columns} from raw.fub__{table} "  # noqa: S608 - our own names
        f"qualify row_number() over (partition by {key} order by landed_at desc) = 1 and not is_deleted)"
    )


PEOPLE = _newest("people", "person_id, crm_created_at, first_seen_at, merged_into, deleted_at", "person_id")

# Everything that happened to somebody, each with its own time: (person_id, happened_at, kind, word, detail, number).
_HAPPENED = f"""
    select person_id, occurred_at as happened_at,
        case when type in ({_listed(INQUIRY_TYPES)}) then 'inquiry'
             when type in ({_listed(_VIEWS)}) then 'view' end as kind,
        type as word, json_extract_string(payload, '$.property.type') as detail, property_price_usd as number
    from {_current("events", "event_id, person_id, occurred_at, type, payload, property_price_usd", "event_id")}
    union all
    select person_id, occurred_at, 'inquiry', type, json_extract_string(property, '$.type'),
        try_cast(json_extract_string(property, '$.price_usd') as double)
    from {_newest("inquiries", "event_id, person_id, occurred_at, type, property", "event_id")}
    where event_id not in (select event_id from raw.fub__events)
    union all
    select person_id, received_at, 'reply', null, null, null
    from {_newest("inbound_messages", "person_id, received_at, is_auto_reply")} where not is_auto_reply
    union all
    select person_id, sent_at, case when is_incoming then 'reply' else 'touch' end, null, null, null
    from {_current("text_messages", "person_id, sent_at, is_incoming, is_external", "text_message_id")}
    where not is_external
    union all
    select person_id, crm_created_at, case when is_incoming then 'reply' else 'touch' end, null, null, null
    from {_current("calls", "person_id, crm_created_at, is_incoming", "call_id")}
    union all
    select person_id, accepted_at, 'touch', null, null, null from {_newest("messages", "person_id, accepted_at")}
    union all
    select person_id, "at", 'touch', null, null, null from {_newest("human_actions", 'person_id, "at"')}
    union all
    select person_id, "at", 'said_' || case
            when key like 'timeline%' then 'timeline' when key like 'budget%' then 'budget'
            when key in ('zip', 'city', 'place', 'state') then 'place' else key end,
        value, null, try_cast(regexp_replace(value, '[$,]', '', 'g') as double)
    from {_newest("qualifications", 'person_id, "at", key, value')}
"""  # noqa: S608 - our own names

_FEATURES = f"""
    with versions as (
        select v.person_id, v.landed_at, v.source, v.type, v.stage, v.price_usd
        from raw.fub__people v semi join moments m using (person_id) where not v.is_deleted
    ), seen as (
        select m.person_id, m.moment_at,
            coalesce(max_by(v.source, v.landed_at) filter (v.landed_at <= m.moment_at), min_by(v.source, v.landed_at))
                as source,
            coalesce(max_by(v.type, v.landed_at) filter (v.landed_at <= m.moment_at), min_by(v.type, v.landed_at))
                as lead_type,
            max_by(v.stage, v.landed_at) filter (v.landed_at <= m.moment_at) as stage,
            coalesce(
                max_by(v.price_usd, v.landed_at) filter (v.landed_at <= m.moment_at),
                min_by(v.price_usd, v.landed_at)) as price_usd
        from moments m join versions v using (person_id) group by all
    ), happened as (
        {_HAPPENED}
    ), summed as (
        select m.person_id, m.moment_at,
            max_by(word, h.happened_at) filter (kind = 'inquiry') as inquiry_type,
            max_by(detail, h.happened_at) filter (kind = 'inquiry') as property_type,
            max_by(word, h.happened_at) filter (kind = 'said_side') as side,
            max_by(number, h.happened_at) filter (kind = 'said_budget' and number >= 10000) as said_usd,
            max_by(number, h.happened_at) filter (kind = 'inquiry' and number > 0) as asked_usd,
            max_by(number, h.happened_at) filter (kind = 'said_timeline') as timeline_months,
            count(*) filter (kind = 'inquiry') as count_inquiries,
            count(*) filter (kind = 'view') as count_views,
            count(*) filter (kind = 'reply') as count_replies,
            count(*) filter (kind = 'said_budget') > 0 as has_budget,
            count(*) filter (kind = 'said_place') > 0 as has_place,
            max(h.happened_at) filter (kind = 'inquiry') as inquiry_at,
            max(h.happened_at) filter (kind = 'reply') as reply_at,
            max(h.happened_at) filter (kind = 'touch') as touch_at
        from moments m join happened h on h.person_id = m.person_id and h.happened_at <= m.moment_at
        where kind is not null group by all
    ), people as (
        select * from {PEOPLE}
    )
    select m.person_id, m.moment_at,
        coalesce(nullif(lower(trim(seen.source)), ''), '{UNKNOWN}') as source,
        coalesce(nullif(lower(trim(seen.lead_type)), ''), '{UNKNOWN}') as lead_type,
        coalesce(nullif(lower(trim(seen.stage)), ''), '{UNKNOWN}') as stage,
        coalesce(nullif(lower(trim(summed.inquiry_type)), ''), '{UNKNOWN}') as inquiry_type,
        coalesce(nullif(lower(trim(summed.property_type)), ''), '{UNKNOWN}') as property_type,
        case when lower(summed.side) like 'sell%' then 'sell' when lower(summed.side) like 'buy%' then 'buy'
             when summed.side is not null then 'both' else '{UNKNOWN}' end as side,
        coalesce(summed.said_usd, summed.asked_usd, seen.price_usd) as price_usd,
        coalesce(summed.count_inquiries, 0)::double as count_inquiries,
        coalesce(summed.count_views, 0)::double as count_views,
        coalesce(summed.count_replies, 0)::double as count_replies,
        least({LONGEST_HOURS}, epoch(m.moment_at - summed.inquiry_at) / 3600) as hours_since_inquiry,
        least({LONGEST_HOURS}, epoch(m.moment_at - summed.reply_at) / 3600) as hours_since_reply,
        least({LONGEST_HOURS}, epoch(m.moment_at - summed.touch_at) / 3600) as hours_since_touch,
        least({LONGEST_HOURS}, greatest(0, epoch(m.moment_at - people.crm_created_at) / 3600)) as age_hours,
        hour(people.crm_created_at at time zone $timezone)::double as arrival_hour,
        isodow(people.crm_created_at at time zone $timezone)::double as arrival_weekday,
        summed.timeline_months,
        coalesce(summed.has_budget, false)::double as has_budget,
        coalesce(summed.has_place, false)::double as has_place
    from moments m
    join people using (person_id)
    left join seen using (person_id, moment_at)
    left join summed using (person_id, moment_at)
    order by m.person_id, m.moment_at
"""  # noqa: S608 - our own names


def feature_frame(lake: Lake, moments: pa.Table, *, timezone: str) -> pd.DataFrame:
    """Features of people at moments, from the lake alone. Grain: person x moment, ordered so.

    Args:
        lake: raw landings and the ledger's mirror.
        moments: rows of ``MOMENTS_SCHEMA``; people the ledger does not know are left out.
        timezone: the team's, for the hour and the day of arrival.

    Returns:
        ``person_id``, ``moment_at`` and one column for each of ``NAMES``; words are lower case, ``unknown`` when
        missing, numbers are floats, NaN when missing.
    """
    with lake.connect(read_only=True) as connection:
        connection.register("moments", moments)
        frame = connection.execute(_FEATURES, {"timezone": timezone}).to_arrow_table().to_pandas()
        connection.unregister("moments")
    for name in NUMBERS:
        frame[name] = frame[name].astype("float64")
    for name in WORDS:
        frame[name] = frame[name].astype("object")
    return frame


def moments_of(person_ids: Iterable[int], at: datetime) -> pa.Table:
    """One moment for many people."""
    ids = list(person_ids)
    columns: dict[str, Any] = {"person_id": ids, "moment_at": [at] * len(ids)}
    return pa.table(columns, schema=MOMENTS_SCHEMA)


def current_people(lake: Lake, *, seen_by: datetime | None = None) -> list[int]:
    """Ids of everyone to be scored: known to the ledger's mirror (by then), not deleted, not merged into another."""
    rows = lake.query(
        f"select person_id from {PEOPLE} where merged_into is null and deleted_at is null "  # noqa: S608 - our own names
        "and (?::timestamptz is null or first_seen_at <= ?::timestamptz) order by 1",
        [seen_by, seen_by],
    )
    return rows["person_id"].to_pylist()
