"""People, their contact points and consents, written to the ledger.

What lives here: bulk upserts of what ``mapping`` read, and the effect of a change on what is held. What does not: what
people ask for or the team does (``inquiries``, ``human_actions``), merges (``sweep``), whom to contact (``outreach``).

One statement per table and batch, fed by a COPY into a temporary table: 100,000 people of a first sync are as plain a
case as one person of a webhook.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, LiteralString, NamedTuple

import psycopg

from leadpipe.crm.bulk import again_after_deadlock, copy_in, cursor_of
from leadpipe.crm.mapping import Person
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What an upsert met: ids never seen before, ids whose judged facts changed, what has to be set aside."""

    new_ids: tuple[int, ...] = ()
    changed_ids: tuple[int, ...] = ()
    set_aside: tuple[SetAside, ...] = ()


def upsert_people(engine: Engine, people: Sequence[Person], *, now: datetime) -> Stored:
    """Store the people as last read and re-judge what is queued for those whose stage, agent, price or place changed.

    An older reading never overwrites a newer one (``crm_updated_at`` decides; equal times take the later reading). Of
    somebody who was erased nothing is stored.
    """
    found = Stored()
    for start in range(0, len(people), BATCH):
        batch = {p.person_id: p for p in people[start : start + BATCH]}
        found = _add(found, _upsert(engine, sorted(batch.values(), key=lambda p: p.person_id), now))
    return found


def _add(one: Stored, other: Stored) -> Stored:
    return Stored(
        new_ids=one.new_ids + other.new_ids,
        changed_ids=one.changed_ids + other.changed_ids,
        set_aside=one.set_aside + other.set_aside,
    )


def _upsert(engine: Engine, batch: Sequence[Person], now: datetime) -> Stored:
    """Write a batch whole; where PostgreSQL refuses a value, halve it until the one record is found and set aside."""
    try:
        new, changed = again_after_deadlock(lambda: _write(engine, batch, now))
    except psycopg.DataError as error:
        if len(batch) > 1:
            half = len(batch) // 2
            return _add(_upsert(engine, batch[:half], now), _upsert(engine, batch[half:], now))
        reason = f"the ledger cannot hold a value of it: {type(error).__name__}"
        record = SetAside(
            source="fub_people", record_key=str(batch[0].person_id), reason=reason, raw=b"see raw.fub__people"
        )
        return Stored(set_aside=(record,))
    return Stored(new_ids=tuple(new), changed_ids=tuple(changed), set_aside=tuple(_bad_points(batch)))


def _write(engine: Engine, batch: Sequence[Person], now: datetime) -> tuple[list[int], list[int]]:
    with engine.begin() as connection:
        written = {row.person_id: row for row in _write_people(connection, batch, now)}
        current = [person for person in batch if person.person_id in written]
        changed = [row.person_id for row in written.values() if row.is_changed]
        _write_points(connection, current, now)
        _write_consents(connection, current, now)
        _rejudge(connection, changed, now)
    return [row.person_id for row in written.values() if row.is_new], changed


def _bad_points(batch: Iterable[Person]) -> list[SetAside]:
    return [
        SetAside(source="fub_contact_point", record_key=str(person.person_id), reason=reason, raw=raw.encode())
        for person in batch
        for raw, reason in person.set_aside
    ]


_PERSON_COLUMNS: LiteralString = (
    "person_id bigint, first_name text, last_name text, stage text, source text, assigned_user_id bigint, "
    "assigned_to text, price_usd bigint, tags text[], place jsonb, custom jsonb, crm_created_at timestamptz, "
    "crm_updated_at timestamptz, last_human_at timestamptz, last_two_way_at timestamptz, "
    "created_via text"
)
_UPSERT_PEOPLE: LiteralString = """
with before as (
  select p.person_id, p.stage, p.assigned_user_id, p.price_usd, p.place
  from ledger.people p join incoming_people i using (person_id)
), written as (
  insert into ledger.people as p (
    person_id, first_name, last_name, stage, source, assigned_user_id, assigned_to, price_usd, tags, place, custom,
    crm_created_at, crm_updated_at, last_human_at, last_two_way_at, created_via, first_seen_at, refreshed_at)
  select i.*, %(now)s, %(now)s from incoming_people i
  on conflict (person_id) do update set
    first_name = excluded.first_name, last_name = excluded.last_name, stage = excluded.stage,
    source = excluded.source, assigned_user_id = excluded.assigned_user_id, assigned_to = excluded.assigned_to,
    price_usd = excluded.price_usd, tags = excluded.tags, place = excluded.place, custom = excluded.custom,
    crm_updated_at = excluded.crm_updated_at, created_via = excluded.created_via,
    last_human_at = greatest(p.last_human_at, excluded.last_human_at),
    last_two_way_at = greatest(p.last_two_way_at, excluded.last_two_way_at),
    refreshed_at = excluded.refreshed_at, deleted_at = null
  where p.crm_updated_at <= excluded.crm_updated_at and p.erased_at is null
  returning p.person_id, p.stage, p.assigned_user_id, p.price_usd, p.place
)
select w.person_id, b.person_id is null as is_new,
  b.person_id is not null and (b.stage, b.assigned_user_id, b.price_usd, b.place)
    is distinct from (w.stage, w.assigned_user_id, w.price_usd, w.place) as is_changed
from written w left join before b using (person_id)
"""


class _Written(NamedTuple):
    person_id: int
    is_new: bool
    is_changed: bool


def _write_people(connection: Connection, batch: Sequence[Person], now: datetime) -> list[_Written]:
    """Write those whose reading is not older than what is known; returns them."""
    cursor = cursor_of(connection)
    copy_in(
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
                p.created_via,
            )
            for p in batch
        ),
    )
    return [_Written._make(row) for row in cursor.execute(_UPSERT_PEOPLE, {"now": now}).fetchall()]


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
    cursor = cursor_of(connection)
    rows = [
        (p.person_id, kind, point.address, point.is_relay, point.is_role, rank)
        for p in batch
        for kind, points in (("email", p.emails), ("phone", p.phones))
        for rank, point in enumerate(points)
    ]
    copy_in(cursor, "incoming_points", _POINT_COLUMNS, rows)
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
        cursor = cursor_of(connection)
        copy_in(cursor, "incoming_consents", _CONSENT_COLUMNS, rows)
        cursor.execute(_WRITE_CONSENTS, {"now": now})


def _rejudge(connection: Connection, person_ids: Sequence[int], now: datetime) -> None:
    """What is held is judged again at once: a new place has other hours, a new stage may end the plan."""
    if person_ids:
        cursor_of(connection).execute(
            "update ledger.messages set not_before_at = %(now)s, changed_at = %(now)s "
            "where person_id = any(%(ids)s) and state = 'held' and not_before_at > %(now)s and due_at <= %(now)s",
            {"now": now, "ids": list(person_ids)},
        )
