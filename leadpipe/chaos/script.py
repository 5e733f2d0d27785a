"""The script of a chaos run: who is killed how often, and at which kind of moment. The seed decides.

What lives here: shares and dice. What does not: killing (``kills``). The same seed gives the same script; which message
a kill meets is the machine's business.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Who is killed."""

    WORKER = "worker"
    GATEWAY = "gateway"
    POSTGRES = "postgres"
    DAEMON = "daemon"


SHARES: Mapping[Kind, float] = {Kind.WORKER: 0.6, Kind.GATEWAY: 0.2, Kind.POSTGRES: 0.1, Kind.DAEMON: 0.1}
# The others die at a moment of no meaning, which is where nobody thought of a failpoint. Runs and PostgreSQL die
# seldom, and the steps of a run are met by their deaths alone.
SHARE_AT_STEPS: Mapping[Kind, float] = {Kind.WORKER: 0.8, Kind.GATEWAY: 0.8, Kind.POSTGRES: 0.9, Kind.DAEMON: 0.9}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One kill to come.

    Attributes:
        wait_share: how long after the last one, as a share of the longest wait.
        is_at_step: at a named step, else at once.
        luck: 0 to 1, for whatever else is to be chosen.
    """

    wait_share: float
    is_at_step: bool
    luck: float


def count_by_kind(kills: int) -> dict[Kind, int]:
    """The kills of each kind; what rounding leaves goes to the workers."""
    counts = {kind: int(kills * share) for kind, share in SHARES.items()}
    counts[Kind.WORKER] += kills - sum(counts.values())
    return counts


def moments(kind: Kind, *, count: int, seed: int) -> list[Moment]:
    """The kills of one kind, in order."""
    dice = random.Random(f"{seed}:{kind}")  # noqa: S311 - a script to repeat, no secret
    return [
        Moment(wait_share=dice.random(), is_at_step=dice.random() < SHARE_AT_STEPS[kind], luck=dice.random())
        for _ in range(count)
    ]
