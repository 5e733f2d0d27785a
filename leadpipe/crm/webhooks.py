"""Our webhooks at Follow Up Boss: put there, looked after, taken away.

What lives here: which events we subscribe to and the comparison with what the account has. What does not: receiving
them (``gateway.fub``). Only the account owner's key may manage webhooks, two per event and system (FUB sheet 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadpipe.crm.client import FubClient
    from leadpipe.settings import Settings

EVENTS = (
    "peopleCreated",
    "peopleUpdated",
    "peopleDeleted",
    "peopleTagsCreated",
    "peopleStageUpdated",
    "eventsCreated",
    "notesCreated",
    "callsCreated",
    "textMessagesCreated",
    "emEventsUnsubscribed",
)


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One event's webhook as the account has it; ``state`` is active, disabled, missing or foreign_url."""

    event: str
    state: str
    hook_id: int | None = None

    @property
    def is_right(self) -> bool:
        """Whether notifications of this event reach us."""
        return self.state == "active"


def our_url(settings: Settings) -> str:
    """The public address FUB calls; its last part is the secret token."""
    return f"{settings.public_base_url.rstrip('/')}/fub/{settings.fub_webhook_token.get_secret_value()}"


def status(crm: FubClient, settings: Settings) -> list[Hook]:
    """One line per event we need.

    Raises:
        ConfigurationError: this key may not see webhooks; use the account owner's.
    """
    url = our_url(settings)
    rows = [row for page in crm.pages("webhooks") for row in page]
    hooks: list[Hook] = []
    for event in EVENTS:
        ours = [row for row in rows if row.get("event") == event and row.get("url") == url]
        if ours:
            row = next((row for row in ours if row.get("status") == "Active"), ours[0])
            state = "active" if row.get("status") == "Active" else "disabled"
            hooks.append(Hook(event=event, state=state, hook_id=int(row["id"])))
        else:
            hooks.append(Hook(event=event, state="missing"))
    return hooks


def install(crm: FubClient, settings: Settings) -> list[Hook]:
    """Create what is missing and switch on what is disabled; running it twice changes nothing."""
    for hook in status(crm, settings):
        if hook.state == "missing":
            crm.post("webhooks", {"event": hook.event, "url": our_url(settings)})
        elif hook.state == "disabled":
            crm.put(f"webhooks/{hook.hook_id}", {"status": "Active"})
    return status(crm, settings)


def remove(crm: FubClient, settings: Settings) -> int:
    """Delete our webhooks, and only ours. Returns how many."""
    ours = [hook for hook in status(crm, settings) if hook.hook_id is not None]
    for hook in ours:
        crm.delete(f"webhooks/{hook.hook_id}")
    return len(ours)
