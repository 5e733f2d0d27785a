"""SMS by Twilio.

What lives here: the fields of an SMS. What does not: the call and its reading (``twilio_api``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadpipe.messaging.channels.base import SendPooled, SendRequest, SendResult
from leadpipe.messaging.channels.twilio_api import create_message, status_callback
from leadpipe.messaging.channels.twilio_pooled import pooled_sender

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

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
        return create_message(self._client, self._arguments(request))

    def pooled(self, connections: int) -> AbstractAsyncContextManager[SendPooled]:
        """Send on kept connections."""
        return pooled_sender(self._settings, connections, self._arguments)

    def _arguments(self, request: SendRequest) -> dict[str, Any]:
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
        return arguments
