"""The doctor's checks of Twilio: account, number, campaign, WhatsApp.

What lives here: whether texts and WhatsApp messages can leave. What does not: sending them (``messaging``). Without any
Twilio setting both channels are off, which is a note and no fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from leadpipe.cli.finding import Check, Finding, note, ok, wrong
from leadpipe.messaging.content_template import APPROVED, THE_ONE

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

NEEDS_ACCOUNT = "see the line `Twilio`"


def twilio(runtime: Runtime) -> Finding:
    """The account lets us in."""
    settings, name = runtime.settings, "Twilio"
    if _is_off(settings):
        return note(name, "not configured: texts and WhatsApp are off", "set LEADPIPE_TWILIO_* to use them")
    if not settings.twilio_account_sid:
        return wrong(name, "LEADPIPE_TWILIO_ACCOUNT_SID is not set", "copy it from the Twilio console")
    if not settings.twilio_auth_token.get_secret_value():
        return wrong(name, "LEADPIPE_TWILIO_AUTH_TOKEN is not set", "copy it from the Twilio console")
    _, refused = _ask(settings, lambda client: client.messages.list(limit=1))
    if refused:
        return wrong(name, refused, "set LEADPIPE_TWILIO_ACCOUNT_SID and LEADPIPE_TWILIO_AUTH_TOKEN as in the console")
    return ok(name, "lets us in")


def sms_number(runtime: Runtime) -> Finding:  # noqa: PLR0911 - a list of what may be wrong
    """Texts leave from a number or a messaging service of the account."""
    settings, name = runtime.settings, "SMS number"
    if settings.sms_provider == "sns":
        return ok(name, "texts are carried by SNS")
    if _is_off(settings):
        return note(name, "off")
    if not (settings.sms_number or settings.twilio_messaging_service_sid):
        return wrong(
            name,
            "neither LEADPIPE_SMS_NUMBER nor LEADPIPE_TWILIO_MESSAGING_SERVICE_SID is set",
            "set the number that the campaign is registered for",
        )
    if not settings.sms_number:
        return ok(name, "the messaging service chooses it")
    wanted = settings.sms_number
    found, refused = _ask(settings, lambda client: client.incoming_phone_numbers.list(phone_number=wanted, limit=1))
    if refused:
        return wrong(name, refused, NEEDS_ACCOUNT)
    if not found:
        return wrong(name, "LEADPIPE_SMS_NUMBER is no number of this account", "buy it, or set one that is")
    return ok(name, "belongs to the account")


def sms_campaign(runtime: Runtime) -> Finding:  # noqa: PLR0911 - a list of what may be wrong
    """The 10DLC campaign is registered and verified: carriers block unregistered texts (C26)."""
    settings, name = runtime.settings, "SMS campaign"
    if _is_off(settings) or settings.sms_provider == "sns":
        return note(name, "not needed")
    wanted, service = settings.a2p_campaign_id, settings.twilio_messaging_service_sid
    if not wanted:
        return wrong(
            name,
            "LEADPIPE_A2P_CAMPAIGN_ID is not set, so every text is blocked (C26)",
            "register brand and campaign in the Twilio console (10DLC) and set its id",
        )
    if not service:
        return note(name, f"{wanted} cannot be looked up without LEADPIPE_TWILIO_MESSAGING_SERVICE_SID")
    campaigns, refused = _ask(
        settings, lambda client: client.messaging.v1.services(service).us_app_to_person.list(limit=20)
    )
    if refused:
        return wrong(
            name, f"messaging service: {refused}", "set LEADPIPE_TWILIO_MESSAGING_SERVICE_SID as in the console"
        )
    status = next((found.campaign_status for found in campaigns if found.campaign_id == wanted), None)
    if status is None:
        return wrong(
            name,
            f"{wanted} is not registered with the messaging service",
            "set LEADPIPE_A2P_CAMPAIGN_ID to the campaign that the console shows for it",
        )
    if status != "VERIFIED":
        return wrong(name, f"{wanted} is {status}", "carriers block it until it is verified")
    return ok(name, f"{wanted} is verified")


def whatsapp(runtime: Runtime) -> Finding:  # noqa: PLR0911 - a list of what may be wrong
    """The sender, and an approved template for use outside the 24 h window."""
    settings, name = runtime.settings, "WhatsApp"
    template = settings.whatsapp_template_sid
    if not settings.whatsapp_number:
        return note(name, "off: LEADPIPE_WHATSAPP_NUMBER is not set")
    if not settings.whatsapp_number.startswith("whatsapp:+"):
        return wrong(
            name, "LEADPIPE_WHATSAPP_NUMBER does not begin with whatsapp:+", "write it as whatsapp:+15005550006"
        )
    if not template:
        return wrong(
            name,
            "LEADPIPE_WHATSAPP_TEMPLATE_SID is not set, so nobody can be written to first",
            f"have this approved in Twilio's Content Template Builder and set its sid: {APPROVED[THE_ONE]}",
        )
    found, refused = _ask(
        settings,
        lambda client: (
            client.content.v1.contents(template).fetch(),
            client.content.v1.contents(template).approval_fetch().fetch(),
        ),
    )
    if refused:
        return wrong(
            name, f"template {template}: {refused}", "set LEADPIPE_WHATSAPP_TEMPLATE_SID to one of this account"
        )
    content, approval = found
    words = [kind.get("body") for kind in (content.types or {}).values()]
    if words != [APPROVED[THE_ONE]]:
        return wrong(
            name,
            f"template {template} has other words than leadpipe sends",
            f"have exactly these approved and set that sid: {APPROVED[THE_ONE]}",
        )
    status = (approval.whatsapp or {}).get("status") or "not submitted"
    if status != "approved":
        return wrong(name, f"template {template} is {status}", "wait for its approval or choose another")
    return ok(name, "sender and approved template")


def _is_off(settings: Settings) -> bool:
    return not any(
        (
            settings.twilio_account_sid,
            settings.sms_number,
            settings.twilio_messaging_service_sid,
            settings.whatsapp_number,
        )
    )


def _ask(settings: Settings, call: Callable[[Any], Any]) -> tuple[Any, str]:
    """The answer, or why there is none."""
    import requests
    from twilio.base.exceptions import TwilioException, TwilioRestException

    from leadpipe.errors import LeadpipeError
    from leadpipe.messaging.channels.twilio_api import build_client

    try:
        return call(build_client(settings)), ""
    except TwilioRestException as error:
        return None, f"refused by Twilio ({error.code or error.status})"
    except TwilioException as error:
        return None, _refused_page(error)
    except (requests.RequestException, LeadpipeError) as error:
        return None, f"Twilio does not answer ({type(error).__name__})"


def _refused_page(error: Exception) -> str:
    """A refused list: the SDK hands over the answer unread, and without keys there is none."""
    answer = error.args[1] if len(error.args) > 1 else None
    if answer is None:
        return "LEADPIPE_TWILIO_ACCOUNT_SID and LEADPIPE_TWILIO_AUTH_TOKEN are needed"
    try:
        code = json.loads(answer.text)["code"]
    except (ValueError, KeyError, TypeError):
        code = answer.status_code
    return f"refused by Twilio ({code})"


CHECKS: list[Check] = [twilio, sms_number, sms_campaign, whatsapp]
