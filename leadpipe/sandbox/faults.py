"""Injected misbehaviour: what may go wrong, how often, how many times.

What lives here: the catalogue and the dice. What does not: what a fault does to an answer (each provider's own code).

``POST /_control/faults`` takes ``{"NAME": CHANCE}`` or ``{"NAME": {"chance": 1, "times": 3, "value": 30, "match":
"+1281"}}``. ``{"every": 60, "lasts": 5}`` makes it a storm: it strikes in the first 5 of every 60 seconds of wall time.
Each post replaces the whole set, so ``{}`` ends every fault.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

# Name -> what it does. `value` is named where it means something.
CATALOGUE: dict[str, str] = {
    "fub_429": "a request is refused with 429 though the window has room; value: Retry-After, else 1",
    "fub_500": "a request is answered 500 and has no effect",
    "fub_html": "a read is answered 502 with HTML",
    "fub_500_after": "a write takes effect and is answered 500",
    "fub_drop_after": "a write takes effect and the connection is cut without an answer",
    "fub_hang": "the answer comes only after value seconds (60)",
    "fub_not_ready": "a new person answers 404 for value seconds (5) after POST /events",
    "fub_webhook_lost": "a notification is never delivered",
    "fub_webhook_repeated": "a notification comes twice",
    "fub_webhook_delayed": "a notification comes value seconds (20) late",
    "fub_webhook_reordered": "a notification comes after the next ones",
    "twilio_429": "a create is refused with 429 and 20429",
    "twilio_500": "a create is answered 500 and nothing is sent",
    "twilio_500_after": "a create is accepted and answered 500",
    "twilio_drop_after": "a create is accepted and the connection is cut",
    "twilio_empty_after": "a create is accepted and answered 201 with an empty body",
    "twilio_hang_after": "a create is accepted and answered after value seconds (60)",
    "twilio_21610_late": "a blocked number is told by callback, not at the create",
    "twilio_list_lag": "messages appear in the list value seconds (600, simulated) after their creation",
    "twilio_callback_lost": "a status callback is never posted",
    "twilio_callback_repeated": "a status callback is posted twice",
    "twilio_callback_delayed": "a status callback comes value seconds (20) late",
    "twilio_callback_reordered": "the callbacks of a message come in reverse order",
    "twilio_inbound_lost": "an inbound message is not posted, only listed",
    "twilio_inbound_repeated": "an inbound message is posted twice",
    "twilio_inbound_delayed": "an inbound message is posted value seconds (20) late",
    "ses_429": "a send is refused with TooManyRequestsException",
    "ses_500": "a send is answered 500 and nothing is sent",
    "ses_500_after": "a send is accepted and answered 500",
    "ses_drop_after": "a send is accepted and the connection is cut",
    "ses_empty_after": "a send is accepted and answered 200 with an empty body",
    "ses_hang_after": "a send is accepted and answered after value seconds (60)",
    "ses_event_lost": "a sending event is never published",
    "ses_event_repeated": "a sending event is published twice",
    "ses_event_delayed": "a sending event comes value seconds (20) late",
    "ses_event_reordered": "the events of a mail come in reverse order",
    "ses_inbound_lost": "a received mail is never told",
    "ses_inbound_repeated": "a received mail is told twice",
    "ses_inbound_delayed": "a received mail is told value seconds (20) late",
    "sns_429": "a publish is refused with Throttling",
    "sns_500": "a publish is answered 500 and nothing is sent",
    "sns_500_after": "a publish is accepted and answered 500",
    "sns_drop_after": "a publish is accepted and the connection is cut",
    "sns_hang_after": "a publish is accepted and answered after value seconds (60)",
    "openai_429": "rate limit",
    "openai_quota": "429 with insufficient_quota, which waiting does not cure",
    "openai_500": "server error",
    "openai_hang": "the answer comes only after value seconds (60)",
    "openai_garbage": "200 with a body that is no JSON",
    "openai_empty": "200 with {}",
    "openai_cut": "the output ends in the middle, status incomplete",
    "openai_refusal": "the model refuses",
    "bridge_429": "over the rate limit; value: seconds to the reset, else 30",
    "bridge_500": "500 with the usual envelope",
    "bridge_503": "503 with HTML",
    "zillow_404": "the file has moved",
    "zillow_503": "the file server is down",
}  # fmt: skip


@dataclass(kw_only=True)
class Fault:
    """One fault as it is set: its chance, how often it may still strike, its value, whom it concerns, and when."""

    chance: float
    times: int | None = None
    value: float | None = None
    match: str = ""
    every: float | None = None
    lasts: float = 0.0


def _fault(given: Row) -> Fault:
    options: Any = {"chance": 1.0} | given
    return Fault(**options)


class UnknownFault(ValueError):  # noqa: N818 - reads as the state it names
    """A name that is not in the catalogue; a misspelt fault must not pass for a harmless run."""


class Faults:
    """The faults in force; none at the start."""

    def __init__(self, seed: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._dice = random.Random(seed)
        self._monotonic = monotonic
        self._set_at = monotonic()
        self._set: dict[str, Fault] = {}
        self.struck: Counter[str] = Counter()
        """How often each has struck since the start."""

    @property
    def chances(self) -> dict[str, float]:
        """Chance by name."""
        return {name: fault.chance for name, fault in self._set.items()}

    @chances.setter
    def chances(self, wanted: Mapping[str, float | Row]) -> None:
        self.replace(wanted)

    def replace(self, wanted: Mapping[str, float | Row]) -> None:
        """Set exactly these.

        Raises:
            UnknownFault: a name that does not exist, or a setting that cannot be read.
        """
        unknown = sorted(set(wanted) - set(CATALOGUE))
        if unknown:
            raise UnknownFault(f"no such fault: {', '.join(unknown)}; GET /_control/faults lists all")
        try:
            found = {
                name: _fault(given) if isinstance(given, dict) else Fault(chance=float(given))
                for name, given in wanted.items()
            }
        except (TypeError, ValueError) as error:
            raise UnknownFault(
                f"a fault is a chance, or an object of chance, times, value, match, every and lasts: {error}"
            ) from None
        self._set = found
        self._set_at = self._monotonic()

    def strikes(self, name: str, about: str = "") -> bool:
        """Whether this fault happens now, to ``about`` (an address or path that ``match`` is looked for in)."""
        fault = self._set.get(name)
        if fault is None or fault.times == 0 or (fault.match and fault.match not in about):
            return False
        if fault.every and (self._monotonic() - self._set_at) % fault.every >= fault.lasts:
            return False
        if fault.chance < 1 and self._dice.random() >= fault.chance:
            return False
        if fault.times is not None:
            fault.times -= 1
        self.struck[name] += 1
        return True

    def value(self, name: str, default: float) -> float:
        """The fault's value, or what it is when none was given."""
        fault = self._set.get(name)
        return default if fault is None or fault.value is None else fault.value

    def is_set(self, name: str) -> bool:
        """Whether this fault is in force at all; for those that are a state rather than an accident."""
        return name in self._set

    def as_json(self) -> Row:
        """What is set, how often each struck, and the catalogue."""
        return {
            "set": {name: vars(fault) for name, fault in self._set.items()},
            "struck": dict(self.struck),
            "catalogue": CATALOGUE,
        }
