"""People, contact points, consents, inquiries and human actions, written to the ledger.

What lives here: bulk upserts of what ``mapping`` read, merges followed, and the effects of a change on what is queued.
What does not: deciding whom to contact (``outreach``).

One statement per table and batch, fed by a COPY into a temporary table: 100,000 people of a first sync are as plain a
case as one person of a webhook.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

from leadpipe.crm.mapping import HumanAction, Inquiry, Person
from leadpipe.store import quarantine
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection, Engine

BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What an upsert met: ids never seen before, ids whose judged facts changed, entries set aside."""

    new_ids: tuple[int, ...] = ()
    changed_ids: tuple[int, ...] = ()
    count_set_aside: int = 0


def upsert_people(engine: Engine, people: Sequence[Person], *, now: datetime) -> Stored:
    """Store the people as last read and re-judge what is queued for those whose stage, agent, price or place changed.

    An older reading never overwrites a newer one (``crm_updated_at`` decides; equal times take the later reading).
    """
    new: list[int] = []
    changed: list[int] = []
    count = 0
    for start in range(0, len(people), BATCH):
        with engine.begin() as connection:
            batch = sorted({p.person_id: p for p in people[start : start + BATCH]}.values(), key=lambda p: p.person_id)
            batch_new, batch_changed = _write_people(connection, batch, now)
            _write_points(connection, batch, now)
            _write_consents(connection, batch, now)
            _rejudge(connection, batch_changed, now)
            count += quarantine.store(connection, _bad_points(batch), now=now)
            new += batch_new
            changed += batch_changed
    return Stored(new_ids=tuple(new), changed_ids=tuple(changed), count_set_aside=count)


def _bad_points(batch: Iterable[Person]) -> list[SetAside]:
    return [
        SetAside(source="fub_contact_point", record_key=str(person.person_id), reason=reason, raw=raw.encode())
        for person in batch
        for raw, reason in person.set_aside
    ]


def _cursor(connection: Connection) -> Cursor[Any]:
    return connection.connection.cursor()  # type: ignore[return-value] - psycopg's own cursor, for COPY


def _copy(cursor: Cursor[Any], table: LiteralString, columns: LiteralString, rows: Iterable[Sequence[Any]]) -> None:
    cursor.execute(f"create temp table if not exists {table} ({columns}) on commit drop".encode())
    cursor.execute(f"truncate {table}".encode())
    with cursor.copy(f"copy {table} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)


_PERSON_COLUMNS: LiteralString = (
    "person_id bigint, first_name text, last_name text, stage text, source text, assigned_user_id bigint, "
    "assigned_to text, price_usd bigint, tags text[], place jsonb, custom jsonb, crm_created_at timestamptz, "
    "crm_updated_at timestamptz, last_human_at timestamptz, last_two_way_at timestamptz"
)
_UPSERT_PEOPLE: LiteralString = """
with before as (
  select p.person_id, p.stage, p.assigned_user_id, p.price_usd, p.place
  from ledger.people p join incoming_people i using (person_id)
), written as (
  insert into ledger.people as p (
    person_id, first_name, last_name, stage, source, assigned_user_id, assigned_to, price_usd, tags, place, custom,
    crm_created_at, crm_updated_at, last_human_at, last_two_way_at, first_seen_at, refreshed_at)
  select i.*, %(now)s, %(now)s from incoming_people i
  on conflict (person_id) do update set
    first_name = excluded.first_name, last_name = excluded.last_name, stage = excluded.stage,
    source = excluded.source, assigned_user_id = excluded.assigned_user_id, assigned_to = excluded.assigned_to,
    price_usd = excluded.price_usd, tags = excluded.tags, place = excluded.place, custom = excluded.custom,
    crm_updated_at = excluded.crm_updated_at,
    last_human_at = greatest(p.last_human_at, excluded.last_human_at),
    last_two_way_at = greatest(p.last_two_way_at, excluded.last_two_way_at),
    refreshed_at = excluded.refreshed_at, deleted_at = null
  where p.crm_updated_at <= excluded.crm_updated_at
  returning p.person_id, p.stage, p.assigned_user_id, p.price_usd, p.place
)
select w.person_id, b.person_id is null as is_new
from written w left join before b using (person_id)
where b.person_id is null
   or (b.stage, b.assigned_user_id, b.price_usd, b.place)
     is distinct from (w.stage, w.assigned_user_id, w.price_usd, w.place)
"""


def _write_people(connection: Connection, batch: Sequence[Person], now: datetime) -> tuple[list[int], list[int]]:
    cursor = _cursor(connection)
    _copy(
        cursor,
        "incoming_people",
        _PERSON_COLUMNS,
        (
            (
                p.person_id,
                p.first_name,
                p.last_name,
                p.stage,
                p.source,
                p.assigned_user_id,
                p.assigned_to,
                p.price_usd,
                list(p.tags),
                json.dumps(p.place),
                json.dumps(p.custom),
                p.crm_created_at,
                p.crm_updated_at,
                p.last_human_at,
                p.last_two_way_at,
            )
            for p in batch
        ),
    )
    rows = cursor.execute(_UPSERT_PEOPLE, {"now": now}).fetchall()
    return [person_id for person_id, is_new in rows if is_new], [person_id for person_id, is_new in rows if not is_new]


_POINT_COLUMNS: LiteralString = "person_id bigint, kind text, address text, is_relay bool, is_role bool, rank int"
# A number that its owner called wrong stays detached from everyone, whatever the CRM still says (C20).
_WRITE_POINTS: tuple[LiteralString, ...] = (
    """
    insert into ledger.contact_points (kind, address, is_relay, is_role, created_at)
    select distinct on (kind, address) kind, address, is_relay, is_role, %(now)s from incoming_points
    order by kind, address
    on conflict (kind, address) do nothing
    """,
    """
    insert into ledger.person_contact_points as own (person_id, contact_point_id, rank)
    select i.person_id, c.id, i.rank
    from incoming_points i join ledger.contact_points c using (kind, address)
    on conflict (person_id, contact_point_id) do update set
      rank = excluded.rank,
      detached_at = case when own.detached_reason = 'gone_from_crm' then null else own.detached_at end,
      detached_reason = case when own.detached_reason = 'gone_from_crm' then null else own.detached_reason end
    where own.rank <> excluded.rank or own.detached_reason = 'gone_from_crm'
    """,
    """
    update ledger.person_contact_points own set detached_at = %(now)s, detached_reason = 'gone_from_crm'
    where own.person_id = any(%(ids)s) and own.detached_at is null and not exists (
      select 1 from incoming_points i join ledger.contact_points c using (kind, address)
      where i.person_id = own.person_id and c.id = own.contact_point_id)
    """,
)


def _write_points(connection: Connection, batch: Sequence[Person], now: datetime) -> None:
    cursor = _cursor(connection)
    rows = [
        (p.person_id, kind, point.address, point.is_relay, point.is_role, rank)
        for p in batch
        for kind, points in (("email", p.emails), ("phone", p.phones))
        for rank, point in enumerate(points)
    ]
    _copy(cursor, "incoming_points", _POINT_COLUMNS, rows)
    for statement in _WRITE_POINTS:
        cursor.execute(statement, {"now": now, "ids": [p.person_id for p in batch]})


_CONSENT_COLUMNS: LiteralString = (
    "person_id bigint, address text, channel text, level text, scope text, source text, evidence jsonb, "
    "at timestamptz, dedupe_key text"
)
_WRITE_CONSENTS: LiteralString = """
insert into ledger.consents (
  person_id, contact_point_id, channel, level, scope, seller, source, evidence, at, dedupe_key, recorded_at)
select i.person_id, c.id, i.channel, i.level, i.scope, 'ours', i.source, i.evidence, i.at, i.dedupe_key, %(now)s
from incoming_consents i left join ledger.contact_points c
  on c.kind = 'phone' and c.address = i.address
on conflict (dedupe_key) do nothing
"""


def _write_consents(connection: Connection, batch: Sequence[Person], now: datetime) -> None:
    rows = [
        (p.person_id, c.address, c.channel, c.level, c.scope, c.source, json.dumps(c.evidence), c.at, c.dedupe_key)
        for p in batch
        for c in p.consents
    ]
    if rows:
        cursor = _cursor(connection)
        _copy(cursor, "incoming_consents", _CONSENT_COLUMNS, rows)
        cursor.execute(_WRITE_CONSENTS, {"now": now})


def _rejudge(connection: Connection, person_ids: Sequence[int], now: datetime) -> None:
    """What is held is judged again at once: a new place has other hours, a new stage may end the plan."""
    if person_ids:
        _cursor(connection).execute(
            "update ledger.messages set not_before_at = %(now)s, changed_at = %(now)s "
            "where person_id = any(%(ids)s) and state = 'held' and not_before_at > %(now)s and due_at <= %(now)s",
            {"now": now, "ids": list(person_ids)},
        )


def store_inquiries(engine: Engine, inquiries: Iterable[Inquiry], *, now: datetime) -> tuple[int, ...]:
    """Store inquiries once each by event id and return the new ids; the request is consent to be answered (C4)."""
    rows = {i.event_id: i for i in inquiries}
    if not rows:
        return ()
    with engine.begin() as connection:
        cursor = _cursor(connection)
        cursor.executemany(
            "insert into ledger.inquiries "
            "(event_id, person_id, type, source, message, property, occurred_at, first_seen_at) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (event_id) do nothing returning event_id",
            [
                (i.event_id, i.person_id, i.type, i.source, i.message, json.dumps(i.property), i.occurred_at, now)
                for i in rows.values()
            ],
            returning=True,
        )
        new: list[int] = []
        while True:
            new += [row[0] for row in cursor.fetchall()]
            if not cursor.nextset():
                break
        cursor.execute(
            """
            insert into ledger.consents (
              person_id, channel, level, scope, seller, source, evidence, at, expires_at, dedupe_key, recorded_at)
            select i.person_id, channel, 'inquiry', 'inquiry:' || i.event_id, 'ours', lower(i.source),
              jsonb_build_object('event_id', i.event_id, 'form', 'none_on_file'), i.occurred_at,
              i.occurred_at + interval '90 days', 'inquiry:' || channel || ':' || i.event_id, %(now)s
            from ledger.inquiries i cross join unnest(array['sms', 'email', 'whatsapp']) channel
            where i.event_id = any(%(ids)s)
            on conflict (dedupe_key) do nothing
            """,
            {"ids": new, "now": now},
        )
    return tuple(new)


def store_human_actions(engine: Engine, actions: Iterable[HumanAction], *, now: datetime) -> tuple[int, ...]:
    """Store acts of the team once each and stamp the people; returns the person ids that newly saw one."""
    rows = list(actions)
    if not rows:
        return ()
    with engine.begin() as connection:
        cursor = _cursor(connection)
        cursor.executemany(
            "insert into ledger.human_actions (person_id, kind, crm_id, user_id, at, recorded_at) "
            "values (%s, %s, %s, %s, %s, %s) on conflict (kind, crm_id) do nothing returning person_id",
            [(a.person_id, a.kind, a.crm_id, a.user_id, a.at, now) for a in rows],
            returning=True,
        )
        touched: list[int] = []
        while True:
            touched += [row[0] for row in cursor.fetchall()]
            if not cursor.nextset():
                break
        cursor.execute(
            """
            update ledger.people p set last_human_at = greatest(p.last_human_at, a.at)
            from (select person_id, max(at) as at from ledger.human_actions where person_id = any(%(ids)s) group by 1) a
            where a.person_id = p.person_id
            """,
            {"ids": touched},
        )
    return tuple(dict.fromkeys(touched))
