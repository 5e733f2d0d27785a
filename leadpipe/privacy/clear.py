"""Taking a person out of the ledger: what waits for them is cancelled, their data cleared by the rules.

What lives here: the two transactions. What does not: the rules (``ledger_rules``), the lake, the disk.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.privacy.ledger_rules import LEDGER, LedgerRule
from leadpipe.store.tables.mirrored import MIRRORED

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.privacy.subject import Subject

SALT = "erasure_salt"
_HASHES = text(
    """
    insert into ledger.erased_addresses (kind, hash, erasure_id, at)
    select kind, ledger.address_hash(kind, address), :erasure, :now from ledger.contact_points
    where id = any(cast(:every as bigint[])) and not starts_with(address, 'erased:')
    on conflict do nothing
    """
)


def ensure_salt(connection: Connection, *, now: datetime, salt: str | None = None) -> str:
    """The salt of this ledger's address hashes, made once and kept for ever: with another, no address is known again.

    Args:
        connection: the ledger.
        now: when.
        salt: the one to take over when there is none yet, from the list of erasures that a restore re-applies.
    """
    connection.execute(
        text(
            "insert into ledger.controls (key, value, changed_at) "
            "values (:key, jsonb_build_object('salt', cast(:salt as text)), :now) on conflict (key) do nothing"
        ),
        {"key": SALT, "salt": salt or secrets.token_hex(32), "now": now},
    )
    return str(
        connection.execute(
            text("select value ->> 'salt' from ledger.controls where key = :key"), {"key": SALT}
        ).scalar_one()
    )


def block(connection: Connection, subject: Subject, *, erasure_id: int, now: datetime) -> None:
    """From here on nothing is sent: plans end, what waits is cancelled, every address is suppressed for good.

    A shared address is suppressed too: the person who asked is reached by it.
    """
    from leadpipe.crm.sweep import end_plans
    from leadpipe.messaging.suppression import ALL, lock_point, suppress

    every = [*subject.points, *subject.shared]
    lock_point(connection, every)
    connection.execute(_HASHES, {"erasure": erasure_id, "every": every, "now": now})
    for point in every:
        suppress(
            connection,
            contact_point_id=point,
            channels=[ALL],
            source="erased",
            at=now,
            now=now,
            evidence={"erasure_id": erasure_id},
        )
    end_plans(connection, subject.people, reason="erased", now=now)


def affected(connection: Connection, subject: Subject, *, pattern: str, now: datetime) -> dict[str, int]:
    """Rows that an erasure would clear or delete, by table, tables without any left out: counted as ``clear`` does."""
    names = {**subject.parameters, "pattern": pattern, "erasure": 0, "now": now}
    return {table: count for table in LEDGER if (count := _count(connection, table, names))}


def _count(connection: Connection, table: str, names: Mapping[str, Any]) -> int:
    """The person's rows that go or still hold something to clear; what was cleared before is none."""
    rule = LEDGER[table]
    if not rule.rows or not (rule.is_deleted or rule.clear):
        return 0
    rows = rule.rows if rule.is_deleted else _holding(rule)
    counted = connection.execute(
        text(f"select count(*) from ledger.{table} where {rows}"),  # noqa: S608 - our own names
        names,
    )
    return int(counted.scalar_one())


def _holding(rule: LedgerRule) -> str:
    """The SQL condition of a person's rows in which a column is not yet what an erasure makes of it."""
    changes = " or ".join(f"{column} is distinct from ({value})" for column, value in rule.clear.items())
    return f"({rule.rows}) and ({changes})"


def clear(engine: Engine, subject: Subject, *, erasure_id: int, pattern: str, now: datetime) -> dict[str, int]:
    """Clear or delete the person's rows in one transaction; running it again clears what came in meanwhile.

    Returns:
        Rows cleared or deleted by table; a row that held nothing any more is not counted.
    """
    names = {**subject.parameters, "pattern": pattern, "erasure": erasure_id, "now": now}
    counts: dict[str, int] = {}
    with engine.begin() as connection:
        # Message events are append-only; their trigger lets exactly this clearing through.
        connection.execute(text("set local leadpipe.erasing = 'on'"))
        connection.execute(
            text(
                "select person_id from ledger.people where person_id = any(cast(:people as bigint[])) "
                "order by 1 for update"
            ),
            names,
        )
        for table in _in_order():
            rule = LEDGER[table]
            if rule.is_deleted:
                count = connection.execute(
                    text(f"delete from ledger.{table} where {rule.rows}"),  # noqa: S608 - our own names
                    names,
                ).rowcount
            elif rule.rows and table in MIRRORED:
                # Every row is stamped anew; only those that hold something count.
                count = _count(connection, table, names)
                connection.execute(text(_update(table, rule.rows, rule.clear)), names)
            elif rule.rows and rule.clear:
                count = connection.execute(text(_update(table, _holding(rule), rule.clear)), names).rowcount
            else:
                continue
            if count:
                counts[table] = count
    return counts


def _in_order() -> list[str]:
    """Addresses last: rows of other tables are found by them."""
    return sorted(LEDGER, key=lambda table: table == "contact_points")


def _update(table: str, rows: str, clear: Mapping[str, str]) -> str:
    changes = [f"{column} = {value}" for column, value in clear.items()]
    if table in MIRRORED:
        # All versions left the lake; stamped anew, also where nothing was to be cleared, the row is mirrored again.
        changes.append("xid = pg_current_xact_id()")
    return f"update ledger.{table} set {', '.join(changes)} where {rows}"  # noqa: S608 - our own names


def keys_of(connection: Connection, table: str, subject: Subject, *, pattern: str) -> list[tuple[Any, ...]]:
    """Keys of the person's rows of one mirrored table."""
    rule = LEDGER[table]
    if not rule.rows:
        return []
    keys = ", ".join(f"{name}::text" for name in MIRRORED[table])
    rows = connection.execute(
        text(f"select {keys} from ledger.{table} where {rule.rows}"),  # noqa: S608 - our own names
        {**subject.parameters, "pattern": pattern},
    )
    return [tuple(row) for row in rows]
