"""What a chaos run did, compared with what happened: the sandbox's truth against ledger and lake.

What lives here: the report and its complaints. What does not: the definitions of duplicate, lost and sent after a
suppression (``cli.truth``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.cli import truth
from leadpipe.cli.report import believe
from leadpipe.messaging.failpoints import NAMES
from leadpipe.messaging.protocol import WENT_OUT, State
from leadpipe.store.mirror import differences

if TYPE_CHECKING:
    from leadpipe.chaos.world import ChaosWorld

Row = Mapping[str, Any]
# With these the ledger says that nobody got the message.
NOT_SENT = frozenset({State.QUEUED, State.HELD, State.REVIEW, State.BLOCKED, State.CANCELLED, State.EXPIRED})

# Providers whose own list shows every message: nothing of theirs is left to a person.
LISTING = frozenset({"twilio"})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A chaos run's report.

    Attributes:
        kills: deaths, whatever the kind.
        failpoints: hits by step.
        messages: acceptances by the providers.
        lost: leads, replies and webhooks without effect or reason, acceptances the ledger denies or does not know,
            messages it holds for sent that no provider took or puts to a person though the provider lists them, and
            rows that the lake lacks.
        unknown: messages whose fate is neither decided nor put to a person.
        failures: what kept the run itself from going on.
    """

    seed: int
    kills: int
    failpoints: Mapping[str, int]
    messages: int
    duplicates: int
    lost: int
    sent_after_suppression: int
    unknown: int
    parked: int
    expired: int
    seconds: float
    kills_by_kind: Mapping[str, int]
    lost_by_kind: Mapping[str, int]
    states: Mapping[str, int]
    failures: Sequence[str]

    @property
    def complaints(self) -> list[str]:
        """What was not right, in words; empty when the run was good."""
        found = list(self.failures)
        if self.duplicates:
            found.append(f"{self.duplicates} messages were accepted twice")
        if self.lost:
            found.append(f"{self.lost} lost: {dict(self.lost_by_kind)}")
        if self.sent_after_suppression:
            found.append(f"{self.sent_after_suppression} messages went out after an opt-out")
        if self.unknown:
            found.append(f"{self.unknown} messages are neither decided nor put to a person")
        return found


def compare(world: ChaosWorld) -> dict[str, Any]:
    """The fields of the verdict that follow from both sides as they stand now."""
    runtime = world.runtime
    leads, accepted = world.sandbox.leads(), world.sandbox.messages()
    with runtime.engine.connect() as connection:
        believed = believe(connection, now=runtime.clock.now())
        rows = connection.execute(text("select id::text, state from ledger.messages")).all()
    state_of = {row[0]: State(row[1]) for row in rows}
    states = Counter(state_of.values())
    lost = Counter(truth.lost(leads, world.sandbox.answered_webhooks(), believed))
    lost.update(denied_or_unknown(accepted, state_of))
    lost.update({"not_in_the_lake": sum(differences(runtime.engine, runtime.lake).values())})
    lost = +lost
    return {
        "messages": len(accepted),
        "duplicates": truth.count_duplicates(accepted),
        "lost": lost.total(),
        "lost_by_kind": dict(lost),
        "sent_after_suppression": len(truth.sent_after_suppression(leads, accepted, believed)),
        "unknown": states[State.UNKNOWN] + states[State.SENDING],
        "parked": states[State.PARKED],
        "expired": states[State.EXPIRED],
        "states": {str(state): count for state, count in sorted(states.items())},
    }


def denied_or_unknown(accepted: Sequence[Row], state_of: Mapping[str, State]) -> Counter[str]:
    """Where the providers' books and the ledger contradict each other, by how."""
    taken = {row["our_id"]: row["provider"] for row in accepted}
    found: Counter[str] = Counter()
    for message_id, provider in taken.items():
        state = state_of.get(message_id)
        if state is None:
            found["sent_and_not_in_the_ledger"] += 1
        elif state in NOT_SENT:
            found["sent_and_denied"] += 1
        elif state is State.PARKED and provider in LISTING:
            found["parked_and_listed"] += 1
    found["never_sent_and_claimed"] = sum(
        1 for message_id, state in state_of.items() if state in WENT_OUT and message_id not in taken
    )
    return found


def all_hits(hits: Mapping[str, int]) -> dict[str, int]:
    """Hits of every step there is, also of those nobody came past."""
    return {name: hits.get(name, 0) for name in NAMES}
