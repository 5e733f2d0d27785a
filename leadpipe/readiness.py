"""What the settings lack for real people to be reached.

What lives here: which settings a lawful message needs, those that contradict going live, and the one refusal of
everything that serves or sends. What does not: whether a key works (``cli.checks_crm``, ``cli.checks_senders``),
whether a value can be read (``setting_values``).

``leadpipe up``, the gateway, the send worker, the runs that send and the sensors that start those ask here before they
begin. What stops or only looks (``sending stop``, ``sending status``, ``down``, ``doctor``) never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from leadpipe.errors import ConfigurationError
from leadpipe.policy.home_states import office_state
from leadpipe.settings import Sending, is_loopback

if TYPE_CHECKING:
    from leadpipe.settings import Settings

# Without one of these no lawful message can leave, or nobody can answer or unsubscribe.
NEEDED = {
    "brokerage_name": "every message names the brokerage",
    "postal_address": "every email carries a postal address (CAN-SPAM)",
    "email_from": "email is the first channel of every welcome",
    "reply_domain": "replies to emails must reach leadpipe",
    "unsubscribe_secret": "unsubscribe links must work",
    "fub_webhook_token": "the webhook address must not be guessable",
}


def missing(settings: Settings) -> list[str]:
    """Variables that a lawful message needs and that are empty, each with the reason."""
    found = [f"LEADPIPE_{name.upper()} ({why})" for name, why in NEEDED.items() if not _text(getattr(settings, name))]
    if settings.postal_address and not settings.licences and not office_state(settings.postal_address):
        found.append("LEADPIPE_LICENCES (no state is known to be ours, so every message about a home would wait)")
    return found


def unreachable(settings: Settings) -> str:
    """Words for a gateway that no provider can reach though sending is live; empty when one can."""
    url = settings.public_base_url
    if settings.sending is Sending.LIVE and (is_loopback(url) or not url.startswith("https://")):
        return f"providers cannot reach LEADPIPE_PUBLIC_BASE_URL={url}"
    return ""


def refuse_unready(settings: Settings) -> None:
    """Nothing starts live with half of its settings: people would get what they cannot answer or leave.

    Raises:
        ConfigurationError: names everything that is missing; never when sending is anything but live.
    """
    if settings.sending is not Sending.LIVE:
        return
    lacking = missing(settings)
    if not _text(settings.fub_api_key):
        lacking.insert(0, "LEADPIPE_FUB_API_KEY (leads come from Follow Up Boss)")
    said = [f"missing: {', '.join(lacking)}"] if lacking else []
    if words := unreachable(settings):
        said.append(f"{words}; set it to the https address that forwards to the gateway")
    if said:
        raise ConfigurationError(f"LEADPIPE_SENDING=live refuses to start; {'; '.join(said)}")


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
