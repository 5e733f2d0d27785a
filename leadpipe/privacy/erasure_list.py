"""The list of erasures, kept beside the backups: a restore brings people back, and the list erases them again.

What lives here: noting an erasure in the list, and applying the list to a restored ledger. What does not: restoring
(``store.restore``), the erasing itself (``erase``).

A line holds numbers and salted hashes, with the salt; no contact details. The ledger of a backup knows nothing of
erasures after it, so the list must lie outside of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.errors import ConfigurationError
from leadpipe.privacy import clear
from leadpipe.privacy.subject import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

BY_RESTORE = "restore"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One erasure: the records of the person, the salted hashes of their addresses (kind, hash), the salt, when."""

    people: tuple[int, ...]
    addresses: tuple[tuple[str, str], ...]
    salt: str
    at: datetime


def path_of(settings: Settings) -> Path:
    """Where the list lies: the setting, else ``HOME/privacy/erasures.jsonl``."""
    return settings.erasures_path or settings.home.absolute() / "privacy" / "erasures.jsonl"


def note(settings: Settings, connection: Connection, erasure_id: int) -> None:
    """Add the erasure to the list, durably; one that is there already is added again and does no harm.

    Raises:
        ConfigurationError: the file cannot be written; the erasure must not go on without.
    """
    row = connection.execute(
        text("select person_ids, requested_at from ledger.erasures where id = :id"), {"id": erasure_id}
    ).one()
    hashes = connection.execute(
        text("select kind, hash from ledger.erased_addresses where erasure_id = :id order by 1, 2"), {"id": erasure_id}
    ).all()
    salt = clear.ensure_salt(connection, now=row.requested_at)
    line = {
        "people": list(row.person_ids),
        "addresses": [[kind, digest] for kind, digest in hashes],
        "salt": salt,
        "at": row.requested_at.isoformat(),
    }
    path = path_of(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigurationError(
            f"the list of erasures {path} cannot be written ({error.strerror}), and without it a restored backup "
            "brings the person back; make room or correct LEADPIPE_ERASURES_PATH, then run the same erasure again"
        ) from error


def read(path: Path) -> list[Listed]:
    """The list; empty when there is none yet.

    Raises:
        ConfigurationError: a line cannot be read: what it says must not be passed over.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(f"the list of erasures {path} cannot be read: {error.strerror}") from error
    found: list[Listed] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry: dict[str, Any] = json.loads(line)
            found.append(
                Listed(
                    people=tuple(int(each) for each in entry["people"]),
                    addresses=tuple((str(kind), str(digest)) for kind, digest in entry["addresses"]),
                    salt=str(entry["salt"]),
                    at=datetime.fromisoformat(entry["at"]),
                )
            )
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"{path}, line {number}, is no erasure; put the file right or take another copy"
            ) from None
    return found


def afterwards(listed: Sequence[Listed]) -> Callable[[Connection, datetime], None]:
    """What a restore does in the transaction that ends it: nobody on the list is reached or read again from there."""
    return partial(_apply, listed)


def _apply(listed: Sequence[Listed], connection: Connection, now: datetime) -> None:
    for entry in listed:
        salt = clear.ensure_salt(connection, now=now, salt=entry.salt)
        if salt != entry.salt:
            raise ConfigurationError(
                "the list of erasures is of another system: its salt is not this ledger's; let LEADPIPE_ERASURES_PATH "
                "name the list that was kept with this backup"
            )
        if not _is_known(connection, entry):
            _apply_one(connection, entry, now)


def _is_known(connection: Connection, entry: Listed) -> bool:
    """Whether the backup is younger than that erasure."""
    return bool(
        connection.execute(
            text(
                "select 1 from ledger.erasures where person_ids = cast(:people as bigint[]) and requested_at = :at "
                "and state = 'done' limit 1"
            ),
            {"people": list(entry.people), "at": entry.at},
        ).scalar()
    )


def _apply_one(connection: Connection, entry: Listed, now: datetime) -> None:
    # Somebody who came after the backup has no row yet: with one, the CRM's next answer about them is not stored.
    connection.execute(
        text(
            "insert into ledger.people (person_id, crm_created_at, crm_updated_at, first_seen_at, refreshed_at, "
            "deleted_at, erased_at) select id, :at, :at, :at, :at, :at, :at from unnest(cast(:people as bigint[])) id "
            "on conflict (person_id) do update set erased_at = coalesce(ledger.people.erased_at, excluded.erased_at)"
        ),
        {"people": list(entry.people), "at": entry.at},
    )
    erasure_id = connection.execute(
        text(
            "insert into ledger.erasures (person_id, person_ids, reason, actor, state, requested_at) "
            "values (:person, :people, 'brought back by a backup', :actor, 'requested', :at) returning id"
        ),
        {"person": entry.people[0], "people": list(entry.people), "actor": BY_RESTORE, "at": entry.at},
    ).scalar_one()
    for kind, digest in entry.addresses:
        connection.execute(
            text(
                "insert into ledger.erased_addresses (kind, hash, erasure_id, at) values (:kind, :hash, :id, :at) "
                "on conflict do nothing"
            ),
            {"kind": kind, "hash": digest, "id": erasure_id, "at": entry.at},
        )
    for person_id in entry.people:
        clear.block(connection, subject_of(connection, person_id), erasure_id=erasure_id, now=now)
    # The same address may stand with somebody who was never that person's record.
    connection.execute(
        text(
            "insert into ledger.suppressions (contact_point_id, channel, source, evidence, at, recorded_at) "
            "select c.id, 'all', 'erased', jsonb_build_object('erasure_id', e.erasure_id), e.at, :now "
            "from ledger.contact_points c join ledger.erased_addresses e on e.kind = c.kind and e.erasure_id = :id "
            "and e.hash = ledger.address_hash(c.kind, c.address) and not exists (select 1 from ledger.suppressions s "
            "where s.contact_point_id = c.id and s.source = 'erased')"
        ),
        {"id": erasure_id, "now": now},
    )


def unfinished(engine: Engine) -> list[int]:
    """Persons whose erasure was begun, or taken from the list, and is not done."""
    with engine.connect() as connection:
        rows = connection.execute(text("select person_id from ledger.erasures where state <> 'done' order by id"))
        return list(dict.fromkeys(rows.scalars()))


def finish(runtime: Runtime, *, tell: Callable[[str], None] = lambda _: None) -> int:
    """Carry out every erasure that is not done; returns how many. For the end of a restore."""
    from leadpipe.privacy.erase import erase

    people: Iterable[int] = unfinished(runtime.engine)
    count = 0
    for person_id in people:
        tell(f"erasing person {person_id} again ...")
        erase(runtime, person_id, actor=BY_RESTORE, tell=tell)
        count += 1
    return count
