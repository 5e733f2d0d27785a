"""Whether Follow Up Boss still calls us for every event.

What lives here: one look, and telling a person. What does not: the webhooks themselves (``crm.webhooks``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from leadpipe.crm import webhooks
from leadpipe.messaging.alerts import raise_alert

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime


def look(runtime: Runtime, *, now: datetime) -> tuple[str, ...]:
    """The webhooks that are missing or disabled, each with its state; a person is told once a day."""
    wrong = [hook for hook in webhooks.status(runtime.crm, runtime.settings) if not hook.is_right]
    if wrong:
        named = ", ".join(f"{hook.event} is {hook.state}" for hook in wrong)
        with runtime.engine.begin() as connection:
            raise_alert(
                connection,
                kind="webhook_missing",
                dedupe_key=f"webhook_missing:{named[:200]}:{now:%Y-%m-%d}",
                title="Follow Up Boss does not call us for every event",
                body=f"{named}. Leads are still found by polling, later. Put it right: `leadpipe webhooks install`.",
                now=now,
            )
    return tuple(f"{hook.event}: {hook.state}" for hook in wrong)
