"""A copy of the ledger as it stood at one moment, in a database of its own that is dropped afterwards.

What lives here: making, rewinding and dropping the copy. What does not: what runs on it (``days``).

The ledger itself is only read, in one snapshot. The copy lies on the same server, so it needs the right to create a
database, and its size beside the original for as long as the simulation runs. What a simulation never reads stays
behind: webhook bodies, quarantine, verdicts, alerts, write-backs, audit.

For a moment in the past the copy is rewound: rows recorded later are left out, and what has its own history (messages,
passages, refusals, consents, pauses) stands as it did. What has none stands as it does now: stage, addresses, merges.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import sql

from leadpipe.errors import ConfigurationError
from leadpipe.store import ledger
from leadpipe.store.tables.base import SCHEMA, metadata
from leadpipe.store.urls import database_named

if TYPE_CHECKING:
    from sqlalchemy import Table

PREFIX = "leadpipe_simulation_"
# What planning, judging and sending read; the rest stays behind.
_COPIED = frozenset(
    "watermarks people contact_points person_contact_points inquiries human_actions enrolments messages attempts "
    "message_events suppressions consents preferences number_checks listing_statuses inbound_messages qualifications "
    "conversations handoffs inputs".split()
)
# What was recorded later than the moment was not there at the moment.
_RECORDED = {
    "people": "first_seen_at", "contact_points": "created_at", "inquiries": "first_seen_at",
    "human_actions": "recorded_at", "enrolments": "opened_at", "messages": "created_at", "attempts": "started_at",
    "message_events": "at", "suppressions": "recorded_at", "consents": "recorded_at", "inbound_messages": "received_at",
    "number_checks": "recorded_at", "listing_statuses": "checked_at", "preferences": "recorded_at",
    "qualifications": "at", "conversations": "changed_at", "handoffs": "opened_at", "inputs": "recorded_at",
}  # fmt: skip
_LAST_EVENT = (
    "(select e.{what} from ledger.message_events e where e.message_id = t.id and e.at <= {at} "
    "order by e.id desc limit 1)"
)
# The message that a passage led to after the moment: at the moment the passage stood before it.
_NEXT_MESSAGE = (
    "(select m.{what} from ledger.messages m where m.enrolment_id = t.id and m.created_at > {at} "
    "order by m.created_at limit 1)"
)
_UNTIL = "case when t.{column} <= {{at}} then t.{column} end"
# How a column stood at the moment; the others stand as they do now.
_REWOUND: dict[str, dict[str, str]] = {
    "people": {
        "automation_paused_at": _UNTIL.format(column="automation_paused_at"),
        "deleted_at": _UNTIL.format(column="deleted_at"),
        "last_two_way_at": (
            "case when t.last_two_way_at <= {at} then t.last_two_way_at else (select max(i.received_at) "
            "from ledger.inbound_messages i where i.person_id = t.person_id and i.received_at <= {at}) end"
        ),
    },
    "person_contact_points": {"detached_at": _UNTIL.format(column="detached_at")},
    "inquiries": {
        "answered_at": _UNTIL.format(column="answered_at"),
        "outcome": "case when t.answered_at <= {at} then t.outcome end",
    },
    "enrolments": {
        "state": "case when t.ended_at > {at} then 'open' else t.state end",
        "ended_at": _UNTIL.format(column="ended_at"),
        "end_reason": "case when t.ended_at <= {at} then t.end_reason end",
        "step": f"coalesce({_NEXT_MESSAGE.format(what='step', at='{at}')}, t.step)",
        "next_due_at": f"coalesce({_NEXT_MESSAGE.format(what='created_at', at='{at}')}, t.next_due_at)",
    },
    "messages": {
        "state": f"coalesce({_LAST_EVENT.format(what='to_state', at='{at}')}, t.state)",
        "code": _LAST_EVENT.format(what="code", at="{at}"),
        "changed_at": f"coalesce({_LAST_EVENT.format(what='at', at='{at}')}, t.created_at)",
        "accepted_at": _UNTIL.format(column="accepted_at"),
        "provider": "case when t.accepted_at <= {at} then t.provider end",
        "provider_id": "case when t.accepted_at <= {at} then t.provider_id end",
        "not_before_at": "case when t.changed_at <= {at} then t.not_before_at end",
    },
    "attempts": {
        "ended_at": _UNTIL.format(column="ended_at"),
        "outcome": "case when t.ended_at <= {at} then t.outcome end",
    },
    "inbound_messages": {"read_at": _UNTIL.format(column="read_at")},
    "handoffs": {
        "closed_at": _UNTIL.format(column="closed_at"),
        "closed_by": "case when t.closed_at <= {at} then t.closed_by end",
    },
}


_BOTH_THERE = (
    " where exists (select 1 from ledger.people p where p.person_id = t.person_id and p.first_seen_at <= {at}) "
    "and exists (select 1 from ledger.contact_points c where c.id = t.contact_point_id and c.created_at <= {at})"
)


@contextmanager
def copied(database_url: str, *, at: datetime | None, first: Callable[[str], None]) -> Generator[str]:
    """The URL of a copy of this ledger, gone when the block ends.

    Args:
        database_url: the ledger to copy; only read from.
        at: the moment to rewind to; None copies it as it stands.
        first: what to do with the new ledger while it is empty.

    Raises:
        ConfigurationError: the account may not create a database.
    """
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    identifier = sql.Identifier(name)
    drop_left_over(database_url)
    with psycopg.connect(database_url, autocommit=True) as admin:
        try:
            admin.execute(sql.SQL("create database {}").format(identifier))
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                "a simulation works on a copy of the ledger and this account may not create a database: "
                "`alter role ... createdb`, or run it on a server of your own restored from a backup"
            ) from error
    url = database_named(database_url, name)
    try:
        # While somebody is connected, nobody takes the copy for one that was left over.
        with psycopg.connect(url, autocommit=True):
            ledger.upgrade(url)
            first(url)
            with psycopg.connect(database_url) as source, psycopg.connect(url) as target:
                source.execute("set transaction isolation level repeatable read, read only")
                for table in metadata.sorted_tables:
                    if table.name in _COPIED:
                        _copy(source, target, table, at)
                target.commit()
                target.autocommit = True
                target.execute("analyze")
            yield url
    finally:
        with suppress(psycopg.OperationalError), psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))


def drop_left_over(database_url: str) -> int:
    """Drop copies whose simulation was killed; returns how many. One that somebody works on stays."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        left = admin.execute(
            "select d.datname from pg_database d where starts_with(d.datname, %s) "
            "and not exists (select 1 from pg_stat_activity a where a.datname = d.datname)",
            [PREFIX],
        ).fetchall()
        count = 0
        for (name,) in left:
            # Another simulation may have connected or dropped it meanwhile.
            with suppress(psycopg.errors.ObjectInUse, psycopg.errors.InvalidCatalogName):
                admin.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
                count += 1
    return count


def _copy(source: psycopg.Connection[Any], target: psycopg.Connection[Any], table: Table, at: datetime | None) -> None:
    """One table, from the source's snapshot, without the triggers that would refuse rows in mid-life."""
    columns = [column.name for column in table.columns if column.name != "xid"]
    name = sql.Identifier(SCHEMA, table.name)
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("copy ({}) to stdout (format binary)").format(_query(table.name, columns, at))
    target.execute(sql.SQL("alter table {} disable trigger user").format(name))
    target.execute(sql.SQL("delete from {}").format(name))  # what a migration put there comes with the copy
    with (
        source.cursor().copy(query) as reading,
        target.cursor().copy(sql.SQL("copy {} ({}) from stdin (format binary)").format(name, listed)) as writing,
    ):
        for block in reading:
            writing.write(block)
    target.execute(sql.SQL("alter table {} enable trigger user").format(name))
    if "id" in columns and table.columns["id"].identity is not None:
        target.execute(
            sql.SQL("select setval(pg_get_serial_sequence({}, 'id'), coalesce(max(id), 0) + 1, false) from {}").format(
                sql.Literal(f"{SCHEMA}.{table.name}"), name
            )
        )


def _query(table: str, columns: list[str], at: datetime | None) -> sql.Composable:
    rewound = _REWOUND.get(table, {}) if at is not None else {}
    moment = "'" + at.isoformat() + "'::timestamptz" if at is not None else ""
    listed = sql.SQL(", ").join(
        sql.SQL(cast("Any", rewound[name].format(at=moment))) if name in rewound else sql.Identifier("t", name)
        for name in columns
    )
    query = sql.SQL("select {} from {} t").format(listed, sql.Identifier(SCHEMA, table))
    if at is not None and table == "person_contact_points":
        query += sql.SQL(_BOTH_THERE).format(at=sql.Literal(at))
    elif at is not None and table in _RECORDED:
        query += sql.SQL(" where {} <= {}").format(sql.Identifier("t", _RECORDED[table]), sql.Literal(at))
    return query
