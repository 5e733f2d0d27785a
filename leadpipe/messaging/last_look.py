"""The last look before a call: whether its address is still held, and whether anything came if it begins late.

What lives here: that question, about one message. What does not: why nothing can come while the address is held
(``under_way``), what a claim looks at (``batch``), the call (``calls``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.messaging import switch
from leadpipe.messaging.suppression import ALL
from leadpipe.messaging.under_way import START_WITHIN_SECONDS, Hold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from leadpipe.messaging.batch import Claimed

# A refusal, an answer nobody has read, a person who took over, a merge, a plan that ended, or a recovery that took this
# worker for dead.
_CLEAR = text(
    """
    select exists (
      select 1 from ledger.messages m
      join ledger.people p on p.person_id = m.person_id
      left join ledger.enrolments e on e.id = m.enrolment_id
      where m.id = cast(:id as uuid) and m.state = 'sending' and p.merged_into is null and p.deleted_at is null
        and p.automation_paused_at is null and e.state is distinct from 'ended'
    ) and not exists (
      select 1 from ledger.suppressions where contact_point_id = :point and channel in (:channel, :all)
        and action = 'suppress' and id > :seen
    ) and not exists (
      select 1 from ledger.inbound_messages
      where read_at is null and (contact_point_id = :point or person_id = :person)
    )
    """
)


def is_still_clear(engine: Engine, claimed: Claimed) -> bool:
    """Whether nothing that would keep the message was committed since its claim; its address must be held."""
    request = claimed.request
    with engine.connect() as connection:
        stop = switch.read(connection)
        if stop.stops(plan=request.plan, channel=request.channel, contact_point_id=request.contact_point_id):
            return False
        return bool(
            connection.execute(
                _CLEAR,
                {
                    "id": request.message_id,
                    "point": request.contact_point_id,
                    "person": claimed.person_id,
                    "channel": request.channel,
                    "all": ALL,
                    "seen": claimed.last_suppression_id,
                },
            ).scalar_one()
        )


class LastLook:
    """Asked before each call of one sender, from any thread."""

    def __init__(self, engine: Engine, hold: Hold) -> None:
        self._engine = engine
        self._hold = hold
        # Attempts whose address went to somebody who waited for it.
        self._lost: set[int] = set()

    def is_late(self, held_at: float) -> bool:
        """Whether the call must look again; ``held_at`` is the monotonic moment before its address was taken."""
        return time.monotonic() - held_at > START_WITHIN_SECONDS

    def bar(self, claimed: Claimed, held_at: float) -> str:
        """Why the call may not begin now; empty when it may. Asks the ledger only about a late one; never raises."""
        try:
            while self.is_late(held_at):
                # Whoever waits for the address goes first; what they or others wrote is looked for.
                held_at = time.monotonic()
                if not self._hold.renew(claimed.request.contact_point_id):
                    self._lost.add(claimed.attempt_id)
                    return "overtaken"
                if not is_still_clear(self._engine, claimed):
                    return "overtaken"
        except Exception as error:  # noqa: BLE001 - what cannot be looked up may have been refused by the person
            return f"unchecked_{type(error).__name__}"
        return "" if self._hold.stands() else "session_lost"

    def let_go(self, ended: Iterable[Claimed]) -> None:
        """These calls have ended, or were not made: whoever waits for their addresses goes on."""
        claimed = list(ended)
        self._hold.let_go([c.request.contact_point_id for c in claimed if c.attempt_id not in self._lost])
        self._lost.difference_update(c.attempt_id for c in claimed)
