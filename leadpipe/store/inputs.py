"""Kept inputs: the templates, plans, policy packs and settings that decisions were made from, each text once.

What lives here: keeping a text under its version and hash, and finding it again. What does not: what a text means
(each room reads its own kind), which message used it (``messages`` and ``verdicts`` name the versions).

One row a distinct text, never one a message: a hundred thousand messages of one campaign share a handful of rows. No
personal data: what a template was filled with stands in the message's own evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Kind = Literal["template", "plan", "pack", "settings", "answers", "prompt"]


@dataclass(frozen=True, kw_only=True)
class Input:
    """One text that a decision was made from.

    Attributes:
        version: how messages and verdicts name it; texts that mean the same may share one (a comment in a plan).
        name: what people call it: the template's, the plan's or the pack's name.
    """

    kind: Kind
    version: str
    name: str
    content: str

    @cached_property
    def sha256(self) -> str:
        """Hash of the text, every byte of it."""
        return hashlib.sha256(self.content.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An input as the ledger holds it.

    Attributes:
        is_intact: the text still has the hash it was kept under.
    """

    input: Input
    is_intact: bool
    recorded_at: datetime


_KNOWN = """
    select kind, version, sha256, xmin::text = coalesce(pg_current_xact_id_if_assigned()::xid::text, '') as is_own
    from ledger.inputs
    where (kind, version, sha256) in (
      select * from unnest(cast(:kinds as text[]), cast(:versions as text[]), cast(:hashes as text[])))
    """
_KEEP = (
    "insert into ledger.inputs (kind, version, sha256, name, content, recorded_at) "
    "values (:kind, :version, :sha256, :name, :content, :now) on conflict do nothing"
)
# The text in force when the message was made: the newest kept by then. Kept a moment later it is still the one.
_FIND = """
    select name, content, sha256, recorded_at from ledger.inputs
    where kind = :kind and version = :version
    order by recorded_at > :by, case when recorded_at <= :by then recorded_at end desc, recorded_at limit 1
    """


# Texts that some ledger certainly holds, by its engine: a sender asks once, not for every batch.
_there: WeakKeyDictionary[Engine, set[tuple[str, str, str]]] = WeakKeyDictionary()


def keep(connection: Connection, inputs: Iterable[Input], *, now: datetime) -> int:
    """Keep what the ledger does not hold yet, in the caller's transaction; returns how many texts were new."""
    from sqlalchemy import text

    there = _there.setdefault(connection.engine, set())
    wanted = {key: one for one in inputs if (key := (one.kind, one.version, one.sha256)) not in there}
    if not wanted:
        return 0
    kinds, versions, hashes = (list(values) for values in zip(*wanted, strict=True))
    rows = connection.execute(text(_KNOWN), {"kinds": kinds, "versions": versions, "hashes": hashes}).all()
    known = {(kind, version, sha256) for kind, version, sha256, _ in rows}
    # What this very transaction wrote may yet be rolled back.
    there |= {(kind, version, sha256) for kind, version, sha256, is_own in rows if not is_own}
    # In order of the key: two that keep the same texts at once wait for each other and never in a circle.
    new = [wanted[key] for key in sorted(wanted) if key not in known]
    for one in new:
        values = {"kind": one.kind, "version": one.version, "name": one.name, "content": one.content}
        connection.execute(text(_KEEP), values | {"sha256": one.sha256, "now": now})
    return len(new)


def find(connection: Connection, kind: Kind, version: str, *, by: datetime) -> Kept | None:
    """The text of this version that was in force at ``by``; None when none is kept."""
    from sqlalchemy import text

    row = connection.execute(text(_FIND), {"kind": kind, "version": version, "by": by}).one_or_none()
    if row is None:
        return None
    found = Input(kind=kind, version=version, name=row.name, content=row.content)
    return Kept(input=found, is_intact=found.sha256 == row.sha256, recorded_at=row.recorded_at)
