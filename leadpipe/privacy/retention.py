"""Retention: nothing is kept longer than it is needed, and what must be kept is kept that long.

What lives here: the rules by kind, counting what is due, carrying it out. What does not: erasing one person
(``erase``), Dagster's own history (``sensors.housekeeping``), the lake's snapshots (``store.maintenance``).

Ages are law before they are taste: records of sales messages five years (16 CFR 310.5, compliance C44), consents five
years after their end, refusals for ever (C18; Virginia asks for ten years). A rule empties the words long before, since
words are what hurts when they leak, and ids and codes are what proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.audit.sources import SOURCES
from leadpipe.store import locks
from leadpipe.store.lake import retried
from leadpipe.store.mirror import PREFIX
from leadpipe.store.tables.mirrored import MIRRORED

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.store.lake import Lake

YEAR = timedelta(days=365)
FIVE_YEARS = 5 * YEAR
# A night takes no more of one kind; the rest follows the nights after.
MOST_ROWS = 200_000
_COVERED = {source.table for source in SOURCES}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of data and how long it is kept.

    Attributes:
        kind: a name.
        about: what goes, in words.
        table: of the ledger, or ``raw.*`` of the lake.
        rows: SQL condition with ``:before`` (the age) of what is due.
        keep: how long.
        clear: by column what is put in its place; empty: the rows go.
        why: the reason for the age.
    """

    kind: str
    about: str
    table: str
    rows: str
    keep: timedelta
    why: str
    clear: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_lake(self) -> bool:
        """Whether the table is the lake's."""
        return "." in self.table


RULES = (
    Rule(
        kind="notifications", about="bodies of handled notifications", table="inbox",
        rows="state = 'handled' and received_at < :before and length(body) > 0", keep=timedelta(days=90),
        clear={"body": "''::bytea", "headers": "'{}'::jsonb"}, why="their meaning is in other tables by then",
    ),
    Rule(
        kind="quarantine", about="records that could not be read", table="quarantine",
        rows="at < :before", keep=timedelta(days=180), why="who looks at them looks within weeks",
    ),
    Rule(
        kind="quoted text", about="quoted text below replies", table="inbound_messages",
        rows="received_at < :before and full_body <> '' and full_body <> body", keep=timedelta(days=180),
        clear={"full_body": "body"}, why="the reply itself stays",
    ),
    Rule(
        kind="words from leads", about="words of replies", table="inbound_messages",
        rows="received_at < :before and (body <> '' or full_body <> '' or subject <> '')", keep=FIVE_YEARS,
        clear={"body": "''", "full_body": "''", "subject": "''"}, why="C44: five years",
    ),
    Rule(
        kind="words to leads", about="words and evidence of messages", table="messages",
        rows="changed_at < :before and (body <> '' or subject <> '' or evidence <> '{}'::jsonb) and state not in "
        "('queued', 'held', 'review', 'sending', 'unknown', 'parked')",
        keep=FIVE_YEARS, clear={"body": "''", "subject": "''", "evidence": "'{}'::jsonb"}, why="C44: five years",
    ),
    Rule(
        kind="verdicts", about="verdicts", table="verdicts", rows="judged_at < :before",
        keep=FIVE_YEARS, why="C44: five years",
    ),
    Rule(
        kind="decisions", about="decisions of planning runs", table="decisions", rows="at < :before",
        keep=FIVE_YEARS, why="C44: five years",
    ),
    Rule(
        kind="alerts", about="alerts that were sent", table="alerts",
        rows="sent_at < :before", keep=YEAR, why="the team has read them",
    ),
    Rule(
        kind="writes to the CRM", about="what was written to the CRM", table="writebacks",
        rows="done_at < :before and payload <> '{}'::jsonb", keep=2 * YEAR,
        clear={"payload": "'{}'::jsonb"}, why="the CRM has it; the marker stays",
    ),
    Rule(
        kind="old versions of people", about="superseded versions of CRM people", table="raw.fub__people",
        rows="landed_at < $before and (person_id, landed_at) not in "
        "(select (person_id, max(landed_at)) from raw.fub__people group by person_id)",
        keep=2 * YEAR, why="scores look back two years; the newest version stays",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Due:
    """One rule and how many rows it would take now."""

    rule: Rule
    count: int
    before: datetime


def due(engine: Engine, lake: Lake, *, now: datetime) -> list[Due]:
    """What is past its time, by rule; reads only."""
    found: list[Due] = []
    with engine.connect() as connection:
        for rule in RULES:
            before = now - rule.keep
            count = _count_in_lake(lake, rule, before) if rule.is_lake else _count(connection, rule, before)
            found.append(Due(rule=rule, count=count, before=before))
    return found


def carry_out(
    engine: Engine, lake: Lake, wanted: list[Due], *, now: datetime, actor: str = acts.SYSTEM
) -> dict[str, int]:
    """Remove what is due, rule by rule; returns rows by kind. Running it again finds the rest.

    Bytes leave the disk with the next maintenance of the lake and PostgreSQL's own vacuum; only `person erase` proves
    that they did.
    """
    done: dict[str, int] = {}
    for each in wanted:
        if each.count:
            remove = _remove_from_lake if each.rule.is_lake else _remove
            done[each.rule.kind] = remove(engine, lake, each, now=now, actor=actor)
    return done


def _count(connection: Connection, rule: Rule, before: datetime) -> int:
    query = text(f"select count(*) from ledger.{rule.table} where {rule.rows}")  # noqa: S608 - our own names
    return int(connection.execute(query, {"before": before}).scalar_one())


def _count_in_lake(lake: Lake, rule: Rule, before: datetime) -> int:
    if not lake.has_table(rule.table):
        return 0
    with lake.connect(read_only=True) as connection:
        row = connection.execute(
            f"select count(*) from {rule.table} where {rule.rows}",  # noqa: S608 - our own names
            {"before": before},
        ).fetchone()
    return int(row[0]) if row else 0


def _remove(engine: Engine, lake: Lake, each: Due, *, now: datetime, actor: str) -> int:
    rule = each.rule
    with ExitStack() as stack:
        if rule.table in MIRRORED:
            stack.enter_context(locks.lake_lock(lake.database_url))
        connection = stack.enter_context(engine.begin())
        ids = list(
            connection.execute(
                text(
                    f"select id::text from ledger.{rule.table} where {rule.rows} "  # noqa: S608 - our own names
                    "order by id limit :most for update"
                ),
                {"before": each.before, "most": MOST_ROWS},
            ).scalars()
        )
        if rule.table in MIRRORED:
            # Under the lake's lock no mirror runs: the versions go, and it brings what the ledger still has.
            _forget_versions(lake, PREFIX + rule.table, ids)
        if rule.clear:
            changes = ", ".join(f"{column} = {value}" for column, value in rule.clear.items())
            statement = f"update ledger.{rule.table} set {changes} where id::text = any(:ids)"  # noqa: S608
        else:
            connection.execute(text("set local leadpipe.expiring = 'on'"))
            statement = f"delete from ledger.{rule.table} where id::text = any(:ids)"  # noqa: S608 - our own names
        count = connection.execute(text(statement), {"ids": ids}).rowcount
        detail = _said(rule, count)
        if not rule.clear and rule.table in _COVERED and ids:
            detail |= {"table": rule.table, "up_to_id": int(ids[-1])}
        acts.record(connection, kind=acts.RETENTION, actor=actor, now=now, detail=detail)
    return count


def _forget_versions(lake: Lake, table: str, ids: list[str]) -> None:
    import pyarrow as pa

    if not ids or not lake.has_table(table):
        return
    with lake.connect() as connection:
        connection.register("gone", pa.table({"id": pa.array(ids, pa.string())}))
        connection.execute(f"delete from {table} where id::varchar in (select id from gone)")  # noqa: S608
        connection.unregister("gone")


def _remove_from_lake(engine: Engine, lake: Lake, each: Due, *, now: datetime, actor: str) -> int:
    rule = each.rule

    def commit() -> int:
        with lake.write(rule.table) as connection:
            row = connection.execute(
                f"delete from {rule.table} where {rule.rows}",  # noqa: S608 - our own names
                {"before": each.before},
            ).fetchone()
        return int(row[0]) if row else 0

    count = retried(commit, what=f"retention of {rule.table}")
    with engine.begin() as connection:
        acts.record(connection, kind=acts.RETENTION, actor=actor, now=now, detail=_said(rule, count))
    return count


def _said(rule: Rule, count: int) -> dict[str, object]:
    return {"kind": rule.kind, "rows": count, "keep_days": rule.keep.days}
