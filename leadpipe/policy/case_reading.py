"""One case from JSON, as ``leadpipe policy check`` reads it.

What lives here: the fields, their types, and what a missing or misspelt one means. What does not: the shapes
(``case``), rules. What is not said is unknown, and unknown is not allowed where a rule needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any

from leadpipe.errors import BadRecord
from leadpipe.policy.case import (
    CHANNELS,
    LEVELS,
    PURPOSES,
    RND_RESULTS,
    Case,
    Consent,
    Contact,
    Dnc,
    HistoryItem,
    Home,
    Listing,
    Reassigned,
    Relationship,
    StateList,
    Suppression,
)

_KEYS = frozenset(
    "id now channel purpose contact consents suppressions dnc state_lists reassigned history relationship sender "
    "listing offered home is_model_written refusals_read_at email_gap_days subject body is_template".split()
)
_CONTACT_KEYS = frozenset({"phone", "email", "address"})
_ADDRESS_KEYS = frozenset({"zip", "city", "state", "country"})
# Channels that a refusal may name; any other word stands for all of them.
_SUPPRESSED = frozenset({*CHANNELS, "all", "phone", "voice", "call"})


def read_case(row: Mapping[str, Any]) -> Case:
    """A case as ``leadpipe policy check`` reads it.

    Raises:
        BadRecord: a required field is missing or a value has no meaning; the message names the field.
    """
    for name in ("id", "now", "channel", "purpose", "contact"):
        if row.get(name) is None:
            raise BadRecord(f"field {name} is missing")
    if row["channel"] not in CHANNELS:
        raise BadRecord(f"field channel: {row['channel']!r} is none of {', '.join(CHANNELS)}")
    if row["purpose"] not in PURPOSES:
        raise BadRecord(f"field purpose: {row['purpose']!r} is none of {', '.join(PURPOSES)}")
    _must_be_known(row, _KEYS, "")
    contact = _must_be_known(_record(row, "contact"), _CONTACT_KEYS, "contact.")
    address = _must_be_known(_record(contact, "address"), _ADDRESS_KEYS, "contact.address.")
    return Case(
        id=str(row["id"]),
        now=_time(row, "now"),
        channel=row["channel"],
        purpose=row["purpose"],
        contact=Contact(
            phone=_text(contact, "phone", "contact."),
            email=_text(contact, "email", "contact."),
            **{name: str(address.get(name) or "") for name in ("zip", "city", "state", "country")},
        ),
        # What is not said counts as unknown: a consent of no date permits nothing, a refusal of no date or channel
        # stands for every channel, a message of no date was sent now.
        consents=tuple(_consent(entry) for entry in _records(row, "consents") if entry.get("at")),
        suppressions=tuple(
            Suppression(
                channel=_suppressed_channel(entry),
                at=_time(entry if entry.get("at") else {"at": row["now"]}, "at"),
                source=entry.get("source") or "",
            )
            for entry in _records(row, "suppressions")
        ),
        history=tuple(
            HistoryItem(
                at=_time(entry if entry.get("at") else {"at": row["now"]}, "at"),
                direction=_direction(entry),
                channel=str(entry.get("channel") or row["channel"]),
                purpose=entry.get("purpose") or "",
            )
            for entry in _records(row, "history")
        ),
        dnc=_dnc(row),
        state_lists=tuple(_state_list(entry) for entry in row.get("state_lists") or ()),
        reassigned=_reassigned(row.get("reassigned")),
        sender=str(row.get("sender") or "ours"),
        listing=_listing(row["listing"]) if row.get("listing") else None,
        offered=tuple(_listing(entry) for entry in row.get("offered") or ()),
        home=_home(row.get("home")),
        is_model_written=_flag(row, "is_model_written", default=False),
        refusals_read_at=_time(row, "refusals_read_at") if row.get("refusals_read_at") else None,
        email_gap_days=_days(row, "email_gap_days"),
        relationship=Relationship(
            **{
                name: _time(row["relationship"], name)
                for name in ("inquiry_at", "transaction_at")
                if (row.get("relationship") or {}).get(name)
            }
        ),
        subject=_text(row, "subject"),
        body=_text(row, "body"),
        is_template=_flag(row, "is_template", default=True),
    )


def _must_be_known(row: Mapping[str, Any], known: frozenset[str], where: str) -> Mapping[str, Any]:
    """The record, unless a field of it is a known one misspelt: passed over it would lack what was said.

    Fields of no likeness are notes of whoever wrote the case.
    """
    for name in row.keys() - known:
        if near := get_close_matches(str(name), known - row.keys(), n=1, cutoff=0.8):
            raise BadRecord(f"field {where}{name} is unknown; did you mean {near[0]}?")
        if where == "contact." and name in _ADDRESS_KEYS:
            raise BadRecord(f"field contact.{name} belongs into contact.address")
    return row


def _record(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = row.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise BadRecord(f"field {name}: {value!r} is no object")
    return value or {}


def _records(row: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = row.get(name)
    if not value:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise BadRecord(f"field {name}: {value!r} is no list of objects")
    return value


def _text(row: Mapping[str, Any], name: str, where: str = "") -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRecord(f"field {where}{name}: {value!r} is no text")
    return value


def _flag(row: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = row.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadRecord(f"field {name}: {value!r} is neither true nor false")
    return default if value is None else value


def _suppressed_channel(entry: Mapping[str, Any]) -> str:
    channel = str(entry.get("channel") or "all").lower()
    return channel if channel in _SUPPRESSED else "all"


def _direction(entry: Mapping[str, Any]) -> str:
    direction = str(entry.get("direction") or "out").lower().removesuffix("bound")
    if direction not in {"in", "out"}:
        raise BadRecord(f"field history.direction: {entry.get('direction')!r} is neither in nor out")
    return direction


def _dnc(row: Mapping[str, Any]) -> Dnc:
    found = _record(row, "dnc")
    _flag(found, "listed", default=False)
    return Dnc(**_dated(found, "listed"))


def _time(row: Mapping[str, Any], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(str(row[name]).replace("Z", "+00:00"))
    except (KeyError, ValueError) as error:
        raise BadRecord(f"field {name}: {row.get(name)!r} is no ISO time") from error
    if at.tzinfo is None:
        raise BadRecord(f"field {name}: {row[name]!r} has no time zone")
    return at.astimezone(UTC)


def _days(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise BadRecord(f"field {name}: {value!r} is no number of days")
    return value


def _dated(row: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    if not row:
        return {}
    checked = row.get("checked_at")
    try:
        return {name: row.get(name), "checked_at": date.fromisoformat(str(checked)[:10]) if checked else None}
    except ValueError as error:
        raise BadRecord(f"field checked_at: {checked!r} is no date") from error


def _state_list(entry: Mapping[str, Any]) -> StateList:
    if not entry.get("state") or not isinstance(entry.get("listed"), bool):
        raise BadRecord("field state_lists: each entry names a state and says listed: true or false")
    return StateList(state=str(entry["state"]).upper(), **_dated(entry, "listed"))


def _reassigned(row: Mapping[str, Any] | None) -> Reassigned:
    if row and row.get("result") is not None and row["result"] not in RND_RESULTS:
        raise BadRecord(f"field reassigned.result: {row['result']!r} is none of {', '.join(RND_RESULTS)}")
    return Reassigned(**_dated(row, "result"))


def _listing(row: Mapping[str, Any]) -> Listing:
    return Listing(
        status=str(row.get("status") or ""),
        checked_at=_time(row, "checked_at") if row.get("checked_at") else None,
        state=str(row.get("state") or "").upper(),
    )


def _home(row: Mapping[str, Any] | None) -> Home | None:
    if not row:
        return None
    counts: dict[str, int | None] = {}
    for name in ("price_usd", "beds"):
        value = row.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadRecord(f"field home.{name}: {value!r} is no whole number")
        counts[name] = value
    return Home(state=str(row.get("state") or "").upper(), **counts)


def _consent(entry: Mapping[str, Any]) -> Consent:
    if entry.get("level") not in LEVELS:
        raise BadRecord(f"field consents.level: {entry.get('level')!r} is none of {', '.join(LEVELS)}")
    return Consent(
        level=entry["level"],
        channel=str(entry.get("channel") or ""),
        at=_time(entry, "at"),
        source=str(entry.get("source") or ""),
        scope=str(entry.get("scope") or "marketing"),
        seller=str(entry.get("seller") or ""),
        evidence=entry.get("evidence") or {},
        expires_at=_time(entry, "expires_at") if entry.get("expires_at") else None,
    )
