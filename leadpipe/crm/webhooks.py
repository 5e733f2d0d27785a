"""Our webhooks at Follow Up Boss: put there, looked after, taken away.

What lives here: which events we subscribe to and the comparison with what the account has. What does not: receiving
them (``gateway.fub``), the custom fields that are installed with them (``custom_fields``). Only the account owner's key
may manage webhooks, two per event and system (FUB sheet 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadpipe.crm import custom_fields
from leadpipe.errors import ConfigurationError
from leadpipe.settings import is_loopback

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
    "emailsCreated",
    "emEventsUnsubscribed",
)


MAX_PER_EVENT = 2


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One event's webhook as the account has it.

    ``state`` is ``active``, ``disabled``, ``stale`` (ours, with an older address), ``missing``, or ``crowded``
    (missing, and other installations of the same system hold both places).
    """

    event: str
    state: str
    hook_id: int | None = None

    @property
    def is_right(self) -> bool:
        """Whether notifications of this event reach us."""
        return self.state == "active"


def our_url(settings: Settings) -> str:
    """The public address FUB calls; its last part is the secret token.

    Raises:
        ConfigurationError: no token, or an address that FUB would refuse.
    """
    token = settings.fub_webhook_token.get_secret_value()
    if not token:
        raise ConfigurationError(
            "LEADPIPE_FUB_WEBHOOK_TOKEN is empty; set it to something unguessable, e.g. `openssl rand -hex 24`"
        )
    base = settings.public_base_url.rstrip("/")
    if not base.startswith("https://") and not is_loopback(settings.fub_base_url):
        raise ConfigurationError(
            "LEADPIPE_PUBLIC_BASE_URL must begin with https://; Follow Up Boss calls no other address"
        )
    return f"{base}/fub/{token}"


def status(crm: FubClient, settings: Settings) -> list[Hook]:
    """One line per event we need.

    Raises:
        ConfigurationError: this key may not see webhooks (use the account owner's), or our own address is not set.
    """
    url = our_url(settings)
    rows = [row for page in crm.pages("webhooks") for row in page]
    return [_state(event, [row for row in rows if row.get("event") == event], url) for event in EVENTS]


def _state(event: str, rows: list[dict[str, Any]], url: str) -> Hook:
    ours = [row for row in rows if row.get("url") == url]
    if ours:
        row = next((row for row in ours if row.get("status") == "Active"), ours[0])
        state = "active" if row.get("status") == "Active" else "disabled"
        return Hook(event=event, state=state, hook_id=int(row["id"]))
    older = [row for row in rows if str(row.get("url")).startswith(url.rpartition("/")[0] + "/")]
    if older:
        return Hook(event=event, state="stale", hook_id=int(older[0]["id"]))
    return Hook(event=event, state="crowded" if len(rows) >= MAX_PER_EVENT else "missing")


def install(crm: FubClient, settings: Settings) -> list[Hook]:
    """Create what is missing, switch on what is disabled, renew old addresses; running it twice changes nothing.

    The custom fields that scores are written to are created too: without them the account refuses every score.

    Raises:
        ConfigurationError: another installation holds both places of an event, or a field got another name.
    """
    url = our_url(settings)
    found = status(crm, settings)
    crowded = [hook.event for hook in found if hook.state == "crowded"]
    if crowded:
        raise ConfigurationError(
            f"Follow Up Boss allows {MAX_PER_EVENT} webhooks per event and system, and other addresses hold both for "
            f"{', '.join(crowded)}; run `leadpipe webhooks remove` there, or register a system of its own"
        )
    for hook in found:
        if hook.state == "missing":
            crm.post("webhooks", {"event": hook.event, "url": url})
        elif hook.state in {"disabled", "stale"}:
            crm.put(f"webhooks/{hook.hook_id}", {"event": hook.event, "url": url, "status": "Active"})
    custom_fields.install(crm)
    return status(crm, settings)


def remove(crm: FubClient, settings: Settings) -> int:
    """Delete our webhooks, and only ours. Returns how many."""
    ours = [hook for hook in status(crm, settings) if hook.hook_id is not None]
    for hook in ours:
        crm.delete(f"webhooks/{hook.hook_id}")
    return len(ours)
