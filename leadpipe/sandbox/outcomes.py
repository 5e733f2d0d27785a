"""Scripted fates: what happens to the next messages to one address, whatever the dice say.

What lives here: ``POST /_control/outcomes``. What does not: what a provider makes of it.

``{"+12815550100": {"create": 21614}}`` refuses the create; ``{"+12815550100": {"later": 30003, "times": 1}}`` accepts
and reports 30003; ``{"ana@example.com": {"bounce": "Permanent/General"}}``, ``{"complaint": true}``, ``{"delay":
true}``, ``{"reject": true}`` do for mail what their names say.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
KEYS = frozenset({"create", "later", "bounce", "complaint", "delay", "reject", "times"})


class Outcomes:
    """Fates by address."""

    def __init__(self) -> None:
        self._by_address: dict[str, Row] = {}

    def replace(self, wanted: dict[str, Row]) -> None:
        """Set exactly these.

        Raises:
            ValueError: a word that means nothing here.
        """
        wrong = sorted({key for fate in wanted.values() for key in fate} - KEYS)
        if wrong:
            raise ValueError(f"no such outcome: {', '.join(wrong)}; there are {', '.join(sorted(KEYS))}")
        self._by_address = {address.lower(): dict(fate) for address, fate in wanted.items()}

    def take(self, address: str, word: str) -> Any:
        """The value of one word for this address, used up when ``times`` runs out; None if nothing is scripted."""
        fate = self._by_address.get(address.lower())
        if fate is None or word not in fate:
            return None
        if "times" in fate:
            fate["times"] -= 1
            if fate["times"] <= 0:
                del self._by_address[address.lower()]
        return fate[word]

    def at_create(self, number: str) -> int | None:
        """A code to refuse with."""
        return self.take(number, "create")

    def later(self, number: str) -> int | None:
        """A code to report later."""
        return self.take(number, "later")

    def as_json(self) -> Row:
        """What is set."""
        return self._by_address
