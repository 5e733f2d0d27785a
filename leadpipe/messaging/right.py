"""The right to send: whether this installation may cause effects from this ledger.

What lives here: the row ``controls['right_to_send']`` and what it means for whoever asks. What does not: taking the
right (``take_over``), the fingerprint of a place (``store.place``), what may have gone out elsewhere (``doubt``).

One installation holds the right. A ledger that was copied or restored names a place that is not its own, so nothing
leaves from it: every claim, write-back, alert and change of webhooks asks here, a claim in its own transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.errors import ConfigurationError
from leadpipe.messaging import mark
from leadpipe.messaging.doubt import Doubt
from leadpipe.store import place

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

    from leadpipe.settings import Settings

KEY = "right_to_send"
# Why nothing leaves, for ``stopped_by`` and programs.
NEVER_TAKEN, ELSEWHERE, WENT_BACK, CATCHING_UP = (
    "right_never_taken", "right_elsewhere", "ledger_went_back", "catching_up",
)  # fmt: skip
CODES = frozenset((NEVER_TAKEN, ELSEWHERE, WENT_BACK, CATCHING_UP))

_READ = text(
    "select (select value from ledger.controls where key = :key) as value, "  # noqa: S608 - our own text
    f"(select coalesce(max(id), 0) from ledger.message_events) as mark, {place.COLUMNS}"
)


class NoRightToSend(ConfigurationError):  # noqa: N818 - reads as the state it names
    """This installation may not cause effects from this ledger; the message says whose right it is and what to do."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How this installation stands to the ledger's right to send.

    Attributes:
        is_here: the right is this installation's; alerts to the team may leave.
        why: why no message leaves, by its code; empty when they may.
        words: the same for people.
        here: this place, for people.
        holder: the place that has the right, for people; empty when none ever had.
        mark: the number of the newest message event.
        doubt: what may have been sent elsewhere, after a take-over.
    """

    is_here: bool
    why: str = ""
    words: str = ""
    here: str
    holder: str
    taken_at: datetime | None
    taken_by: str
    epoch: int
    ledger_id: str
    mark: int
    doubt: Doubt | None

    @property
    def may_send(self) -> bool:
        """Whether messages and write-backs may leave."""
        return self.is_here and not self.why


def standing(connection: Connection, settings: Settings) -> Standing:
    """How it stands now, read in the caller's transaction."""
    row = connection.execute(_READ, {"key": KEY}).one()
    value: dict[str, Any] = row.value or {}
    doubt = _doubt(value)
    why, words = _why_not(row, settings, value, doubt)
    return Standing(
        is_here=why in {"", CATCHING_UP},
        why=why,
        words=words,
        here=place.words(settings),
        holder=value.get("words", ""),
        taken_at=_time(value.get("taken_at")),
        taken_by=value.get("taken_by", ""),
        epoch=int(value.get("epoch", 0)),
        ledger_id=value.get("ledger_id", ""),
        mark=int(row.mark),
        doubt=doubt,
    )


def must_be_here(engine: Engine, settings: Settings) -> Standing:
    """The standing, when the right is this installation's.

    Raises:
        NoRightToSend: it is not.
    """
    with engine.connect() as connection:
        found = standing(connection, settings)
    if not found.is_here:
        raise NoRightToSend(found.words)
    return found


def remember(settings: Settings, found: Standing) -> None:
    """Keep in the home how far the ledger was, so that one that goes back is known.

    Raises:
        ConfigurationError: the home cannot be written.
    """
    if found.is_here:
        mark.write(settings.home, ledger_id=found.ledger_id, epoch=found.epoch, mark=found.mark)


def _why_not(row: Row[Any], settings: Settings, value: dict[str, Any], doubt: Doubt | None) -> tuple[str, str]:
    if not value:
        return NEVER_TAKEN, _never_taken()
    if gone := value.get("went_back"):
        return WENT_BACK, _went_back(int(gone["from"]), int(gone["to"]))
    if place.of(row, settings).differs_from(value.get("place") or {}):
        return ELSEWHERE, _elsewhere(value, place.words(settings))
    seen = mark.read(settings.home, ledger_id=value["ledger_id"], epoch=value["epoch"])
    if seen > row.mark:
        return WENT_BACK, _went_back(seen, row.mark)
    if doubt is not None and doubt.caught_up_at is None:
        return CATCHING_UP, _catching_up(doubt)
    return "", ""


def _doubt(value: dict[str, Any]) -> Doubt | None:
    found = value.get("doubt")
    if not found:
        return None
    return Doubt(
        since=datetime.fromisoformat(found["since"]),
        until=datetime.fromisoformat(found["until"]),
        taken_at=datetime.fromisoformat(found["taken_at"]),
        caught_up_at=_time(found.get("caught_up_at")),
        nights=int(found["nights"]),
    )


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def minute(value: object) -> str:
    """An ISO time for people, in UTC to the minute; a dash for none."""
    at = _time(value) if not isinstance(value, datetime) else value
    return f"{at:%Y-%m-%d %H:%M} UTC" if at is not None else "-"


def _never_taken() -> str:
    return (
        "nobody has the right to send from this ledger: it was never set up, or is of an older leadpipe or a copy of "
        "such a one. Nothing leaves; if no other installation works with it, run `leadpipe sending take-over`"
    )


def _elsewhere(value: dict[str, Any], ours: str) -> str:
    if value.get("restored_at"):
        what = (
            f"this ledger was restored on {minute(value['restored_at'])} from a backup of "
            f"{minute(value.get('backup_at'))}"
        )
    else:
        what = f"this ledger, at {ours}, is a copy, or was moved or restored"
    return (
        f"{what}; the right to send was taken on {minute(value.get('taken_at'))} at {value.get('words', '-')}. Nothing "
        "leaves from here; once the other one sends no more, run `leadpipe sending take-over`, which first says what "
        "will follow"
    )


def _went_back(seen: int, at: int) -> str:
    return (
        f"this ledger ends at event {at}, and a sender has seen it at event {seen}: an older state of the database was "
        "put in its place. Nothing leaves; run `leadpipe sending take-over`, which first says what will follow"
    )


def _catching_up(doubt: Doubt) -> str:
    return (
        f"the right was taken over on {minute(doubt.taken_at)}, and what happened since {minute(doubt.since)} is being "
        "read; messages and write-backs wait until a whole poll is over and the replies of then are read"
    )
