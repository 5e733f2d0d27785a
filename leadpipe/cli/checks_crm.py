"""The doctor's checks of Follow Up Boss: key, system, webhooks, the fields that scores go to.

What lives here: whether the account lets us in as what we need. What does not: using it (``crm``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadpipe.cli.finding import Check, Finding, ok, wrong
from leadpipe.errors import ConfigurationError, LeadpipeError, Rejected

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime


def fub_key(runtime: Runtime) -> Finding:
    """The API key is valid and the account owner's, who alone may manage webhooks."""
    name = "FUB key"
    if not runtime.settings.fub_api_key.get_secret_value():
        return wrong(name, "LEADPIPE_FUB_API_KEY is not set", "make a key under Admin > API as the account owner")
    try:
        answer = runtime.crm.get("identity")
    except ConfigurationError:
        return wrong(
            name, "Follow Up Boss refuses LEADPIPE_FUB_API_KEY", "make a new key under Admin > API as the account owner"
        )
    except LeadpipeError as error:
        return wrong(name, str(error), "check LEADPIPE_FUB_BASE_URL and this machine's way to the internet")
    account, user = answer.get("account", {}), answer.get("user", {})
    if user.get("isOwner") is False:
        return wrong(
            name,
            f"account {account.get('domain', '?')}, but the key belongs to a {str(user.get('role', 'user')).lower()}",
            "webhooks need the account owner's key; set that one as LEADPIPE_FUB_API_KEY",
        )
    return ok(name, f"owner of account {account.get('domain', '?')}")


def fub_system(runtime: Runtime) -> Finding:
    """X-System and X-System-Key are accepted; they also sign the webhooks."""
    name, settings = "FUB system", runtime.settings
    if not settings.fub_system or not settings.fub_system_key.get_secret_value():
        return wrong(
            name,
            "LEADPIPE_FUB_SYSTEM or LEADPIPE_FUB_SYSTEM_KEY is not set",
            "register the system at apps.followupboss.com/system-registration",
        )
    if not settings.fub_api_key.get_secret_value():
        return wrong(name, "cannot be checked without LEADPIPE_FUB_API_KEY", "see the line `FUB key`")
    try:
        next(iter(runtime.crm.pages("webhooks")), None)
    except Rejected as error:
        return wrong(name, f"refused: {error}", "LEADPIPE_FUB_SYSTEM and LEADPIPE_FUB_SYSTEM_KEY must be as registered")
    except ConfigurationError as error:
        return wrong(name, str(error), "see the line `FUB key`")
    return ok(name, f"X-System {settings.fub_system}")


def webhooks(runtime: Runtime) -> Finding:
    """Each event we need is subscribed and active."""
    from leadpipe.crm import webhooks as hooks

    name = "webhooks"
    try:
        found = hooks.status(runtime.crm, runtime.settings)
    except LeadpipeError:
        return wrong(name, "cannot be listed", "see the lines `FUB key` and `FUB system`")
    off = [f"{hook.event} is {hook.state}" for hook in found if not hook.is_right]
    if off:
        return wrong(name, "; ".join(off), "run `leadpipe webhooks install`; until then leads are found by polling")
    return ok(name, f"{len(found)} events are subscribed")


def score_fields(runtime: Runtime) -> Finding:
    """The custom fields for score, reason and priority are there and can be written."""
    from leadpipe.crm import custom_fields

    name = "score fields"
    try:
        found = custom_fields.status(runtime.crm)
    except LeadpipeError:
        return wrong(name, "cannot be listed", "see the lines `FUB key` and `FUB system`")
    off = [field for field in found if not field.is_right]
    if off:
        words = "; ".join(f"{field.name} is {field.state.replace('_', ' ')}" for field in off)
        words = words.replace("is other type", "is a field of another type")
        return wrong(name, words, f"{custom_fields.advice(off)}; until then scores wait in the journal")
    return ok(name, ", ".join(field.name for field in found))


CHECKS: list[Check] = [fub_key, fub_system, webhooks, score_fields]
