"""Approved offers: the only incentives a message may name (compliance C39).

What lives here: reading the table of offers and choosing one for a person. What does not: the words around it.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from leadpipe.errors import ConfigurationError
from leadpipe.outreach.facts import side_of, state_of

if TYPE_CHECKING:
    from leadpipe.outreach.facts import PersonRow


class Offer(BaseModel):
    """One approved offer, with who pays, who may get it, where and how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    text: str
    payer: str
    who_qualifies: str
    licence_owner: str
    sides: tuple[Literal["buy", "sell"], ...]
    states: tuple[str, ...]
    starts_on: date
    ends_on: date
    approved_by: str


@lru_cache(maxsize=4)
def load_offers(path: Path | None = None) -> tuple[Offer, ...]:
    """All offers of the table.

    Raises:
        ConfigurationError: the table is unreadable or an entry lacks its approval; the message names the entry.
    """
    path = path or Path(str(files("leadpipe.outreach") / "offers.yaml"))
    try:
        return TypeAdapter(tuple[Offer, ...]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(f"{path}: the table of offers cannot be read: {error}") from error


def offer_to(row: PersonRow, now: datetime) -> Offer | None:
    """The offer for this person at this moment, if one stands."""
    return offer_for(side_of(row), state_of(row), now.date())


@lru_cache(maxsize=1024)
def offer_for(side: str, state: str, day: date) -> Offer | None:
    """The first offer that stands on ``day`` for this side and state."""
    for offer in load_offers():
        if (
            side in offer.sides
            and (not offer.states or state in offer.states)
            and offer.starts_on <= day <= offer.ends_on
        ):
            return offer
    return None
