"""The licence text that a state wants in what a brokerage writes (C40).

What lives here: which texts a message to a place needs, and their words. What does not: which states want what (the
pack's ``licences``), the team's own numbers and links (settings), the words around them (``outreach.templates``).

The same function puts the text into templates and says what the gate looks for, so a template cannot lack what the gate
wants. Where nobody knows the place, everything that the team has for such states counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from leadpipe.leads.place import Place, place_of
from leadpipe.policy.pack import ByState, Pack
from leadpipe.policy.pack_file import load_pack


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """One text that a state wants.

    Attributes:
        value: the team's number or link that must stand in the words; empty when the settings have none.
        text: the words around it, as a template prints them.
    """

    state: str
    value: str
    text: str


def needed(place: Place, pack: Pack, licences: ByState, links: ByState) -> tuple[Needed, ...]:
    """What a message to this place must hold, by state and kind; empty where no state of it wants anything."""
    states = place.states
    if states and pack.licences.keys().isdisjoint(states):
        return ()
    have = {"number": dict(licences), "link": dict(links)}
    found: list[Needed] = []
    for state, wanted in pack.licences.items():
        for kind, words in wanted.items():
            value = have[kind].get(state, "")
            if state in states or (value and not place.is_known and "US" in place.countries):
                found.append(Needed(state=state, value=value, text=words.format(value) if value else ""))
    return tuple(found)


def licence_text(address: Mapping[str, object], phone_prefix: str, licences: ByState, links: ByState, day: date) -> str:
    """The licence text for somebody at this address with this number, in one line; empty where none is wanted.

    Args:
        address: ``zip``, ``city``, ``state``, ``country`` of their own address.
        phone_prefix: of their number (``place.prefix_of``).
        licences: the team's numbers by state.
        links: the team's links by state.
        day: whose pack counts.
    """
    zip_code, state, country, city = (str(address.get(name) or "") for name in ("zip", "state", "country", "city"))
    return _text(zip_code, state, country, phone_prefix, city, licences, links, day)


@lru_cache(maxsize=65536)
def _text(
    zip_code: str, state: str, country: str, prefix: str, city: str, licences: ByState, links: ByState, day: date
) -> str:
    place = place_of(zip_code, state, country, prefix, city)
    return ". ".join(each.text for each in needed(place, load_pack(day), licences, links) if each.text)
