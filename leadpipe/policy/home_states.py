"""In which states' homes the team may deal (C40).

What lives here: the states of its licences, and of its office where it names none. What does not: which texts a state
wants (``licences``), asking of a message which homes it is about (``content``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from leadpipe.leads.place import state_of_code

if TYPE_CHECKING:
    from leadpipe.policy.pack import ByState, PolicySettings

# The end of a postal address: a ZIP code or a Canadian postal code, and perhaps the country.
_POSTAL_CODE = re.compile(
    r"\b(?P<code>\d{5}|[A-Z]\d[A-Z] ?\d[A-Z]\d)(?:-\d{4})?"
    r"[\s,.]*(?:USA?|U\.S\.(?:A\.)?|United States(?: of America)?|Canada)?[\s.]*$",
    re.IGNORECASE,
)


@lru_cache(maxsize=64)
def office_state(postal_address: str) -> str:
    """The state or province that a brokerage's postal address ends in, by its code; empty when it shows none."""
    found = _POSTAL_CODE.search(postal_address)
    return state_of_code(found["code"]) if found else ""


def licensed_states(settings: PolicySettings) -> frozenset[str] | None:
    """The states in whose homes the team may deal; None asks nobody (``policy check`` with the demo's settings).

    Who names no licence is taken to have the one of their office's state, and none where nobody knows that state.
    """
    return _licensed(settings.licences, settings.office_state)


@lru_cache(maxsize=64)
def _licensed(licences: ByState | None, office: str | None) -> frozenset[str] | None:
    if licences:
        return frozenset(dict(licences))
    return None if office is None else frozenset({office} - {""})
