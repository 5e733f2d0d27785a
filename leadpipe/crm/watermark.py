"""How far each source has been read, kept in the ledger.

What lives here: reading and moving a mark. What does not: choosing it. A mark of new records only ever moves forward.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine


def read(engine: Engine, source: str) -> datetime | None:
    """The time up to which a source was read; None if never."""
    value = _value(engine, source)
    return datetime.fromisoformat(value["at"]) if value else None


def read_int(engine: Engine, source: str) -> int | None:
    """The id up to which a source was read; None if never."""
    value = _value(engine, source)
    return int(value["id"]) if value else None


def write(engine: Engine, source: str, at: datetime, *, now: datetime) -> None:
    """Move a time mark forward; an older time leaves it where it is."""
    before = read(engine, source)
    if before is None or at > before:
        _write(engine, source, {"at": at.isoformat()}, now)


def write_int(engine: Engine, source: str, last_id: int, *, now: datetime) -> None:
    """Move an id mark forward; a smaller id leaves it where it is."""
    before = read_int(engine, source)
    if before is None or last_id > before:
        _write(engine, source, {"id": last_id}, now)


def read_place(engine: Engine, source: str) -> tuple[int | None, str | None]:
    """A place in a history that is read downwards: the lowest id read, and the token of the page below it."""
    value = _value(engine, source) or {}
    return (int(value["id"]) if "id" in value else None), value.get("next")


def put_place(engine: Engine, source: str, low: int, token: str | None, *, now: datetime) -> None:
    """Keep a place in a history that is read downwards."""
    _write(engine, source, {"id": low, "next": token}, now)


def is_same(engine: Engine, source: str, digest: str) -> bool:
    """Whether this is the digest that the last pass over ``source`` left."""
    value = _value(engine, f"{source}_digest")
    return value is not None and value.get("digest") == digest


def put_digest(engine: Engine, source: str, digest: str, *, now: datetime) -> None:
    """Remember what a pass read, so that the next one can tell that nothing changed."""
    _write(engine, f"{source}_digest", {"digest": digest}, now)


def _value(engine: Engine, source: str) -> dict[str, Any] | None:
    from sqlalchemy import select

    from leadpipe.store.tables.running import watermarks

    with engine.connect() as connection:
        return connection.execute(select(watermarks.c.value).where(watermarks.c.source == source)).scalar()


def _write(engine: Engine, source: str, value: dict[str, Any], now: datetime) -> None:
    from sqlalchemy.dialects.postgresql import insert

    from leadpipe.store.tables.running import watermarks

    statement = insert(watermarks).values(source=source, value=value, changed_at=now)
    with engine.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=["source"], set_={"value": value, "changed_at": now})
        )
