"""SMS by Twilio.

What lives here: the fields of an SMS. What does not: the call and its reading (``twilio_api``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.channels.twilio_api import create_message, status_callback

if TYPE_CHECKING:
    from twilio.rest import Client

    from leadpipe.settings import Settings

# How long a text may wait in Twilio's queue; one that comes hours late answers nobody, and may come at night.
VALIDITY_SECONDS = 3_600


class TwilioSms:
    """SMS through a Twilio Messaging Service, or our number where there is none."""

    provider = "twilio"

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def send(self, request: SendRequest) -> SendResult:
        """Send one text."""
        arguments: dict[str, Any] = {
            "to": request.to,
            "body": request.body,
            "status_callback": status_callback(self._settings, request),
            "validity_period": VALIDITY_SECONDS,
            # Look-alikes would change the stored body, and reconciliation compares bodies (sheet 7).
            "smart_encoded": False,
        }
        if self._settings.twilio_messaging_service_sid:
            arguments["messaging_service_sid"] = self._settings.twilio_messaging_service_sid
        else:
            arguments["from_"] = self._settings.sms_number
        return create_message(self._client, arguments)
