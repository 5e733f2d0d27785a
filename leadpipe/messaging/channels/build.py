"""The channels of this installation, built from the settings.

What lives here: which class carries which channel. What does not: anything about a single message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadpipe.messaging.channels.base import Channel

if TYPE_CHECKING:
    from leadpipe.messaging.channels.email_ses import RenderHtml
    from leadpipe.settings import Settings


def build_channels(
    settings: Settings, *, render_html: RenderHtml | None = None, connections: int = 50
) -> dict[str, Channel]:
    """Channels by name; one that is not configured is left out. Opens no connection.

    ``render_html`` makes the HTML part of an email, by default from its template; ``connections`` is how many calls
    may be under way at once.
    """
    from leadpipe.messaging.channels.aws import sending_client
    from leadpipe.messaging.channels.email_ses import SesEmail
    from leadpipe.messaging.channels.sms_sns import SnsSms
    from leadpipe.messaging.channels.sms_twilio import TwilioSms
    from leadpipe.messaging.channels.twilio_api import build_client
    from leadpipe.messaging.channels.whatsapp import TwilioWhatsApp

    channels: dict[str, Channel] = {}
    if settings.email_from:
        ses = sending_client("sesv2", settings, endpoint_url=settings.ses_endpoint_url, connections=connections)
        channels["email"] = SesEmail(ses, settings, render_html=render_html)
    if settings.sms_provider == "sns":
        sns = sending_client("sns", settings, endpoint_url=settings.sns_endpoint_url, connections=connections)
        channels["sms"] = SnsSms(sns, settings)
    if settings.twilio_account_sid:
        twilio = build_client(settings)
        if settings.sms_provider == "twilio" and (settings.twilio_messaging_service_sid or settings.sms_number):
            channels["sms"] = TwilioSms(twilio, settings)
        if settings.whatsapp_number:
            channels["whatsapp"] = TwilioWhatsApp(twilio, settings)
    return channels
