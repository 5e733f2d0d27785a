"""Taking the right to send: by a new system, by a person for a moved or restored one.

What lives here: writing ``controls['right_to_send']``, what a take-over puts in doubt, and what will follow in figures.
What does not: who has the right (``right``), reading again what happened meanwhile (``work.catching_up``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.messaging import doubt, mark, right
from leadpipe.messaging.right import KEY, Standing
from leadpipe.store import place

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings

# The kind of act in the audit log; the switch's is the same.
ACT = "sending"
# So many former holders are kept by name.
FORMER_KEPT = 20

_ANY_ATTEMPT = text("select 1 from ledger.attempts limit 1")
_NEWEST = text(
    "select greatest((select max(at) from ledger.message_events), (select max(received_at) from ledger.inbox))"
)
_FOLLOWS = text(
    """
    select
      (select count(*) from ledger.messages where state in ('queued', 'held') and due_at < :until) as in_doubt,
      (select count(*) from ledger.messages where state in ('queued', 'held') and due_at >= :until) as waiting,
      (select count(*) from ledger.messages where state in ('sending', 'unknown')) as unsure,
      (select count(*) from ledger.enrolments
        where state in ('open', 'paused') and (next_due_at is null or next_due_at < :until)) as passages,
      (select count(*) from ledger.writebacks where state in ('pending', 'sending')) as writebacks
    """
)


@dataclass(frozen=True, kw_only=True)
class Follows:
    """What a take-over will lead to.

    Attributes:
        since: where the ledger ends.
        until: from when on the former installation certainly sent nothing.
        nights: nightly runs in between.
        count_in_doubt: waiting messages that were due before the silence: each will wait for a person.
        count_waiting: those due later, which leave by themselves.
        count_unsure: messages whose call's outcome is not known; looked up as ever.
        count_passages: people inside a plan whose next step asks a person first.
        count_writebacks: writes to the CRM that are looked up or made once more.
    """

    since: datetime | None
    until: datetime
    nights: int
    count_in_doubt: int
    count_waiting: int
    count_unsure: int
    count_passages: int
    count_writebacks: int


def take_first(engine: Engine, settings: Settings, *, now: datetime) -> bool:
    """Take the right of a ledger from which nobody ever sent; True when it was free.

    A ledger with attempts and without a holder is of an older leadpipe, or a copy of one: a person decides.
    """
    with engine.begin() as connection:
        if connection.execute(_ANY_ATTEMPT).first() is not None:
            return False
        value = _value(connection, settings, now=now, by="set-up", former={}) | {"how": "set_up"}
        written = connection.execute(
            text(
                "insert into ledger.controls (key, value, changed_at) values (:key, cast(:value as jsonb), :now) "
                "on conflict (key) do nothing"
            ),
            {"key": KEY, "value": json.dumps(value), "now": now},
        )
        return written.rowcount == 1


def what_follows(connection: Connection, settings: Settings, *, until: datetime) -> Follows:
    """What ``take_over`` would do now, without doing it; ``until`` is when the former installation fell silent."""
    since = _since(connection, _held(connection))
    row = connection.execute(_FOLLOWS, {"until": until}).one()
    return Follows(
        since=since,
        until=until,
        nights=doubt.nights_between(since or until, until, settings.team_timezone),
        count_in_doubt=row.in_doubt,
        count_waiting=row.waiting,
        count_unsure=row.unsure,
        count_passages=row.passages,
        count_writebacks=row.writebacks,
    )


def take_over(
    engine: Engine, settings: Settings, *, now: datetime, by: str, silent_since: datetime | None, is_complete: bool
) -> Standing:
    """Take the right for this installation, whoever has it.

    Args:
        engine: the ledger.
        settings: of this installation.
        now: by the ledger's clock.
        by: who says so.
        silent_since: from when on the former installation certainly sent nothing; None: it may have until now.
        is_complete: the ledger is the newest there is (a home that moved to another disk, a server with another
            address): nothing new is in doubt, and there is nothing to catch up with. Said while catching up, it ends
            that and its doubt.
    """
    with engine.begin() as connection:
        former = _held(connection, is_locked=True)
        value = _value(connection, settings, now=now, by=by, former=former)
        if is_complete:
            value["how"] = "moved"
            if former.get("doubt", {}).get("caught_up_at"):
                value["doubt"] = former["doubt"]  # of an earlier take-over, which this one does not end
        else:
            until = silent_since or now
            since = _since(connection, former) or until
            value["how"] = "taken_over"
            value["doubt"] = {
                "since": since.isoformat(),
                "until": until.isoformat(),
                "taken_at": now.isoformat(),
                "nights": doubt.nights_between(since, until, settings.team_timezone),
            }
            doubt.doubt_passages(connection, until=until)
            _doubt_writebacks(connection, now)
        _put(connection, value, now)
        act = {"right_to_send": value["how"], "here": value["words"], "from": former.get("words", "")}
        acts.record(connection, kind=ACT, actor=by, now=now, detail=act | value.get("doubt", {}))
        found = right.standing(connection, settings)
    right.remember(settings, found)
    return found


def note_restored(connection: Connection, *, backup_at: datetime, now: datetime) -> None:
    """Leave word in a restored ledger that nobody holds its right, and of when it is."""
    value = _held(connection) | {"place": {}, "backup_at": backup_at.isoformat(), "restored_at": now.isoformat()}
    _put(connection, value, now)
    acts.record(connection, kind=ACT, now=now, detail={"restored_from": backup_at})


def note_went_back(engine: Engine, settings: Settings, *, now: datetime) -> None:
    """Tell every other sender of this ledger that it has gone back; they may never have seen it further on."""
    with engine.begin() as connection:
        value = _held(connection, is_locked=True)
        seen = mark.read(settings.home, ledger_id=value["ledger_id"], epoch=value["epoch"])
        at = right.standing(connection, settings).mark
        if seen > at:
            _put(connection, value | {"went_back": {"from": seen, "to": at}}, now)


def note_caught_up(connection: Connection, *, now: datetime) -> None:
    """Everything from outside has been read again: what is not in doubt may leave."""
    value = _held(connection, is_locked=True)
    value["doubt"]["caught_up_at"] = now.isoformat()
    _put(connection, value, now)


def _held(connection: Connection, *, is_locked: bool = False) -> dict[str, Any]:
    lock = " for update" if is_locked else ""
    found = connection.execute(
        text(f"select value from ledger.controls where key = :key{lock}"),  # noqa: S608 - one of two fixed texts
        {"key": KEY},
    ).scalar()
    return found or {}


def _since(connection: Connection, former: dict[str, Any]) -> datetime | None:
    """Where the ledger ends: the backup's moment, else the newest thing in it."""
    if former.get("backup_at"):
        return datetime.fromisoformat(former["backup_at"])
    return connection.execute(_NEWEST).scalar()


def _value(
    connection: Connection, settings: Settings, *, now: datetime, by: str, former: dict[str, Any]
) -> dict[str, Any]:
    kept = [*former.get("former", []), {name: former.get(name) for name in ("words", "taken_at", "taken_by", "how")}]
    return {
        "ledger_id": former.get("ledger_id") or str(uuid4()),
        "epoch": int(former.get("epoch", 0)) + 1,
        "place": place.here(connection, settings).as_json(),
        "words": place.words(settings),
        "taken_at": now.isoformat(),
        "taken_by": by,
        "former": kept[-FORMER_KEPT:] if former else [],
    }


def _put(connection: Connection, value: dict[str, Any], now: datetime) -> None:
    connection.execute(
        text(
            "insert into ledger.controls (key, value, changed_at) values (:key, cast(:value as jsonb), :now) "
            "on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at"
        ),
        {"key": KEY, "value": json.dumps(value), "now": now},
    )


def _doubt_writebacks(connection: Connection, now: datetime) -> None:
    """Notes and tasks may be there already: as if their call had died, so that they are looked up by their marker.

    A stage of then would undo what the team did since; tags and fields may be written twice.
    """
    connection.execute(
        text(
            "update ledger.writebacks set state = 'sending', lease_expires_at = null "
            "where state = 'pending' and kind in ('note', 'task')"
        )
    )
    connection.execute(
        text(
            "update ledger.writebacks set state = 'superseded', code = :code, done_at = :now "
            "where state in ('pending', 'sending') and kind = 'stage'"
        ),
        {"code": doubt.CODE, "now": now},
    )
