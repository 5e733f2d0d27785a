"""Acts of people and of the system that no other table tells: exports, erasures, settings, the switch, retention.

What lives here: writing one act in the caller's transaction, and who the caller is. What does not: chaining it
(``seal``), which happens afterwards so that nobody waits for it. An act holds ids, names of settings and hashes; no
contact details and no secrets.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings

SYSTEM = "system"
SETTINGS = "settings"
RETENTION = "retention"


def whoami() -> str:
    """The account that runs this process, with its machine."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        account = "unknown"
    return f"{account}@{socket.gethostname()}"


def record(
    connection: Connection,
    *,
    kind: str,
    now: datetime,
    actor: str | None = None,
    person_id: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Write one act; returns its id. ``actor`` is who runs this process unless said otherwise."""
    return int(
        connection.execute(
            text(
                "insert into ledger.acts (kind, actor, person_id, detail, at) "
                "values (:kind, :actor, :person, cast(:detail as jsonb), :now) returning id"
            ),
            {
                "kind": kind,
                "actor": actor or whoami(),
                "person": person_id,
                "detail": json.dumps(dict(detail or {}), default=str, sort_keys=True),
                "now": now,
            },
        ).scalar_one()
    )


def record_settings(engine: Engine, settings: Settings, *, now: datetime) -> tuple[str, ...]:
    """Note which settings differ from those noted last, by name and hash; returns their names, empty when none does.

    Of a secret only whether it is set is noted: a short one could be guessed from its hash.
    """
    hashes = {name: _hashed(getattr(settings, name)) for name in sorted(type(settings).model_fields)}
    with engine.begin() as connection:
        before: dict[str, str] = (
            connection.execute(
                text("select detail -> 'hashes' from ledger.acts where kind = :kind order by id desc limit 1"),
                {"kind": SETTINGS},
            ).scalar()
            or {}
        )
        changed = tuple(name for name, value in hashes.items() if before.get(name) != value)
        if changed:
            detail = {"changed": list(changed) if before else ["first start"], "hashes": hashes}
            record(connection, kind=SETTINGS, now=now, detail=detail)
    return changed


def _hashed(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()[:16]
