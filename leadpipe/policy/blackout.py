"""Declared emergencies, in which nobody of the state is solicited (C46).

What lives here: one such time and reading a list of them. What does not: what it means for a message
(``contactability.emergency``). Counties are not told apart: the whole state rests.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import ConfigDict, field_validator, model_validator
from pydantic.dataclasses import dataclass

from leadpipe.leads.place_tables import US_STATES, state_code

_FORM = '[{"state": "LA", "begins_at": "2026-08-29T00:00-05:00", "ends_at": "2026-09-05T00:00-05:00"}]'


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Blackout:
    """A declared emergency in a state, closed-open.

    Attributes:
        state: two letters; a name as people write it is read too.
        begins_at: aware time, kept in UTC.
        ends_at: aware time after it, kept in UTC.
    """

    state: str
    begins_at: datetime
    ends_at: datetime

    def __str__(self) -> str:
        """As the setting's list holds it."""
        moments = {"begins_at": self.begins_at.isoformat(), "ends_at": self.ends_at.isoformat()}
        return json.dumps({"state": self.state} | moments)

    @field_validator("state")
    @classmethod
    def _is_a_state(cls, stated: str) -> str:
        code = state_code(stated)
        if code not in US_STATES:
            raise ValueError(f"'{stated}' is no state; write two letters like LA")
        return code

    @field_validator("begins_at", "ends_at")
    @classmethod
    def _is_a_moment(cls, at: datetime) -> datetime:
        if at.tzinfo is None:
            raise ValueError("a time without zone; write one like 2026-08-29T00:00-05:00")
        return at.astimezone(UTC)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.ends_at <= self.begins_at:
            raise ValueError("it ends before it begins")
        return self


def blackout_list(value: object) -> object:
    """What a setting's text or a YAML file says, as a list for validation.

    Raises:
        ValueError: the text is no JSON list.
    """
    if not isinstance(value, str):
        return value
    if not value.strip():
        return ()
    try:
        found: Any = json.loads(value)
    except ValueError as error:
        raise ValueError(f"no JSON ({error}); write {_FORM}") from error
    if not isinstance(found, list):
        raise ValueError(f"no list; write {_FORM}")  # noqa: TRY004 - pydantic names the setting for a ValueError only
    return found
