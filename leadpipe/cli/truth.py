"""What the sandbox knows against what leadpipe believes.

What lives here: the definitions of first touch, duplicate, lost and sent after suppression, as pure functions over
rows. What does not: fetching either side (``report``).

*First touch*: from the lead's creation at the CRM to the provider's acceptance of the first message; a contactable lead
never touched counts as infinite. *Duplicate*: two acceptances for one receiver, plan, step and occurrence. *Lost*: a
lead, a reply or an answered webhook with neither an effect nor a stated reason. Wall clock throughout: the simulated
calendar jumps.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
PHONE_CHANNELS = frozenset({"sms", "whatsapp"})


@dataclass(frozen=True, kw_only=True)
class Believed:
    """What the ledger says, as far as these definitions need it.

    Attributes:
        people: every person the ledger knows, with ``True`` when something happened for them or a reason is stated.
        replies: stored replies by (address, channel family).
        unhandled: notices and replies that wait longer than they should, by what they are.
        handled_events: ids of webhook events in the inbox.
        suppressed: (address, channel, since in simulated time) of every opt-out in force.
    """

    people: Mapping[int, bool]
    replies: Mapping[tuple[str, str], int]
    unhandled: Mapping[str, int]
    handled_events: frozenset[str]
    suppressed: Sequence[tuple[str, str, datetime]]


def first_touches(leads: Iterable[Row], messages: Iterable[Row]) -> dict[int, float]:
    """Seconds to the first acceptance by new contactable lead; ``math.inf`` for one never touched."""
    first: dict[str, datetime] = {}
    for message in messages:
        at = _time(message["accepted_wall_at"])
        key = contact_key(message["to"])
        first[key] = min(at, first.get(key, at))
    found: dict[int, float] = {}
    for lead in leads:
        if not (lead["is_new"] and lead["contactable"]):
            continue
        created = _time(lead["created_wall_at"])
        times = [first[key] for key in _keys(lead) if key in first and first[key] >= created]
        found[int(lead["person_id"])] = (min(times) - created).total_seconds() if times else math.inf
    return found


def count_duplicates(messages: Iterable[Row]) -> int:
    """Acceptances beyond the first for one receiver, plan, step and occurrence, or for one of our message ids."""
    by_intent: Counter[tuple[Any, ...]] = Counter()
    for message in messages:
        step = (message["plan"], message["step"], message["occurrence"])
        key = step if all(part is not None for part in step) else ("id", message["our_id"])
        by_intent[(contact_key(message["to"]), *key)] += 1
    return sum(count - 1 for count in by_intent.values())


def sent_after_suppression(leads: Iterable[Row], messages: Sequence[Row], believed: Believed) -> list[Row]:
    """Messages accepted after their receiver had opted out, by the truth's account and by the ledger's own."""
    by_address: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for message in messages:
        by_address[contact_key(message["to"]), message["channel"] in PHONE_CHANNELS].append(message)
    found: dict[int, Row] = {}
    for lead in leads:
        for opt_out in lead["opted_out"]:
            is_phone = opt_out["channel"] in PHONE_CHANNELS
            since = _time(opt_out["wall_at"])
            for contact in lead["phones"] if is_phone else lead["emails"]:
                for message in by_address[contact_key(contact), is_phone]:
                    if _time(message["accepted_wall_at"]) > since:
                        found[id(message)] = message
    for address, channel, since in believed.suppressed:
        for is_phone in (True, False):
            for message in by_address[contact_key(address), is_phone]:
                if channel in {"all", message["channel"]} and _time(message["accepted_at"]) > since:
                    found[id(message)] = message
    return list(found.values())


def lost(leads: Sequence[Row], events: Iterable[str], believed: Believed) -> dict[str, int]:
    """What has neither an effect nor a stated reason, by what it is; empty when nothing is lost."""
    found = Counter({what: count for what, count in believed.unhandled.items() if count})
    for lead in leads:
        if lead["is_new"] and not believed.people.get(int(lead["person_id"]), False):
            found["lead"] += 1
    said: Counter[tuple[str, str]] = Counter()
    for lead in leads:
        for reply in lead["replies"]:
            if reply["is_taken"]:
                said[contact_key(reply["from"]), "phone" if reply["channel"] in PHONE_CHANNELS else "email"] += 1
    found["reply"] += sum(max(0, count - believed.replies.get(key, 0)) for key, count in said.items())
    found["webhook"] += sum(1 for event in events if event not in believed.handled_events)
    return {what: count for what, count in found.items() if count}


def under_way(leads: Iterable[Row], touches: Mapping[int, float], believed: Believed, *, since: datetime) -> set[int]:
    """New leads created after ``since`` that wait for their first touch or for a word of the ledger, by person."""
    return {
        person
        for lead in leads
        if lead["is_new"] and _time(lead["created_wall_at"]) > since
        for person in (int(lead["person_id"]),)
        if math.isinf(touches.get(person, 0.0)) or not believed.people.get(person, False)
    }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that ``share`` of all do not exceed (nearest rank); None when there are none or it is infinite."""
    if not values:
        return None
    ranked = sorted(values)
    value = ranked[max(0, math.ceil(share * len(ranked)) - 1)]
    return round(value, 3) if math.isfinite(value) else None


def contact_key(contact: str) -> str:
    """One spelling for an address: lower case, no ``whatsapp:``."""
    return contact.removeprefix("whatsapp:").lower()


def _keys(lead: Row) -> list[str]:
    return [contact_key(contact) for contact in (*lead["emails"], *lead["phones"])]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
