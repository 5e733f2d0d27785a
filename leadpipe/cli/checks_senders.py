"""The doctor's checks of Amazon SES, and of OpenAI.

What lives here: whether each account is ready for what is configured. What does not: sending (``messaging``), Twilio
(``checks_twilio``).
"""

from __future__ import annotations

from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

from leadpipe.cli.finding import Check, Finding, note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadpipe.runtime import Runtime

NEEDED_EVENTS = {"BOUNCE", "COMPLAINT"}


def ses_account(runtime: Runtime) -> Finding:
    """SES lets us in and may send to anybody."""
    name = "SES account"
    if not runtime.settings.email_from:
        return wrong(name, "LEADPIPE_EMAIL_FROM is not set, so no email can leave", "set it to NAME <ADDRESS>")
    answer, refused = _ask_aws(runtime, lambda ses: ses.get_account())
    if refused:
        return wrong(name, refused, "set LEADPIPE_AWS_ACCESS_KEY_ID and _SECRET_ACCESS_KEY, or boto's own chain")
    if not answer.get("SendingEnabled", False):
        return wrong(name, "sending is switched off for the account", "open a case with AWS: SES has paused it")
    if not answer.get("ProductionAccessEnabled", False):
        return wrong(name, "the account is in SES's sandbox", "request production access in the SES console")
    quota = answer.get("SendQuota", {})
    return ok(name, f"{quota.get('Max24HourSend', 0):.0f} emails a day, {quota.get('MaxSendRate', 0):.0f} a second")


def ses_identity(runtime: Runtime) -> Finding:
    """The domain of From is verified and signs its mail."""
    name = "SES identity"
    mailbox, _, domain = parseaddr(runtime.settings.email_from)[1].rpartition("@")
    if not mailbox:
        return wrong(
            name, f"LEADPIPE_EMAIL_FROM={runtime.settings.email_from!r} has no address", "set it to NAME <ADDRESS>"
        )
    answer, refused = _ask_aws(runtime, lambda ses: ses.get_email_identity(EmailIdentity=domain))
    if refused:
        return wrong(name, f"{domain}: {refused}", f"create the identity {domain} in SES and publish its DNS records")
    if not answer.get("VerifiedForSendingStatus", False):
        return wrong(name, f"{domain} is not verified", "publish the DNS records that SES shows for it")
    if answer.get("DkimAttributes", {}).get("Status") != "SUCCESS":
        return wrong(name, f"{domain} does not sign (DKIM)", "publish the three DKIM records that SES shows for it")
    return ok(name, f"{domain} is verified and signs")


def ses_events(runtime: Runtime) -> Finding:
    """The configuration set exists and tells us of bounces and complaints."""
    settings, name = runtime.settings, "SES events"
    wanted = settings.ses_configuration_set
    answer, refused = _ask_aws(
        runtime, lambda ses: ses.get_configuration_set_event_destinations(ConfigurationSetName=wanted)
    )
    if refused:
        return wrong(name, f"configuration set {wanted}: {refused}", "create it, or set LEADPIPE_SES_CONFIGURATION_SET")
    told: set[str] = set()
    topics: set[str] = set()
    for destination in answer.get("EventDestinations", []):
        if destination.get("Enabled") and destination.get("SnsDestination"):
            told |= set(destination.get("MatchingEventTypes", []))
            topics.add(destination["SnsDestination"].get("TopicArn", ""))
    if not told >= NEEDED_EVENTS:
        return wrong(
            name,
            f"configuration set {wanted} tells no topic of {' and '.join(sorted(NEEDED_EVENTS - told))}",
            "add an SNS event destination with all event types to it",
        )
    if not topics & set(settings.sns_topic_arns):
        return wrong(
            name,
            "events go to a topic that leadpipe does not believe",
            f"add {', '.join(sorted(topics))} to LEADPIPE_SNS_TOPIC_ARNS",
        )
    return ok(name, f"configuration set {wanted} tells of {len(told)} kinds of events")


def openai(runtime: Runtime) -> Finding:
    """The model that reads replies; without a key the local model reads them."""
    import httpx

    settings, name = runtime.settings, "OpenAI"
    key = settings.openai_api_key.get_secret_value()
    if not key:
        return note(name, "no key: replies are read by the local model")
    url = f"{settings.openai_base_url.rstrip('/')}/models/{settings.openai_model}"
    try:
        answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    except httpx.HTTPError as error:
        return wrong(
            name,
            f"does not answer ({type(error).__name__}); the local model reads meanwhile",
            "check LEADPIPE_OPENAI_BASE_URL",
        )
    if answer.status_code == 401:
        return wrong(name, "refuses LEADPIPE_OPENAI_API_KEY; the local model reads meanwhile", "make a new key")
    if answer.status_code == 404:
        return wrong(name, f"has no model {settings.openai_model}", "set LEADPIPE_OPENAI_MODEL to one of the account")
    if not answer.is_success:
        return wrong(name, f"answers HTTP {answer.status_code}; the local model reads meanwhile", "try again later")
    return ok(name, f"reads with {settings.openai_model}")


def _ask_aws(runtime: Runtime, call: Callable[[Any], Any]) -> tuple[dict[str, Any], str]:
    """The answer, or why there is none."""
    from botocore.exceptions import BotoCoreError, ClientError

    from leadpipe.messaging.channels.aws import sending_client

    settings = runtime.settings
    try:
        client = sending_client("sesv2", settings, endpoint_url=settings.ses_endpoint_url, connections=1)
        return call(client), ""
    except ClientError as error:
        return {}, f"refused ({error.response.get('Error', {}).get('Code', 'unknown')})"
    except BotoCoreError as error:
        return {}, f"does not answer ({type(error).__name__})"


CHECKS: list[Check] = [ses_account, ses_identity, ses_events, openai]
