"""WhatsApp by Twilio: free text inside the 24-hour window, an approved template outside it (C30).

What lives here: the fields of a WhatsApp message. What does not: whether one may go (``policy``), the call and its
reading (``twilio_api``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leadpipe.messaging.channels.base import SendPooled, SendRequest, SendResult
from leadpipe.messaging.channels.twilio_api import create_message, status_callback
from leadpipe.messaging.channels.twilio_pooled import pooled_sender
from leadpipe.messaging.content_template import values_for

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from twilio.rest import Client

    from leadpipe.settings import Settings

# The gate's own code: without words or approval for it, a message may not open a conversation.
TEMPLATE_REQUIRED = "wa_template_required"


class TwilioWhatsApp:
    """WhatsApp through our Twilio sender."""

    provider = "twilio"

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def send(self, request: SendRequest) -> SendResult:
        """Send one message, word for word.

        Outside the window what the approved template cannot say exactly is refused here, before any call.
        """
        arguments = self._arguments(request)
        return arguments if isinstance(arguments, SendResult) else create_message(self._client, arguments)

    def pooled(self, connections: int) -> AbstractAsyncContextManager[SendPooled]:
        """Send on kept connections."""
        return pooled_sender(self._settings, connections, self._arguments)

    def _arguments(self, request: SendRequest) -> dict[str, Any] | SendResult:
        arguments: dict[str, Any] = {
            "to": f"whatsapp:{request.to}",
            "from_": self._settings.whatsapp_number,
            "status_callback": status_callback(self._settings, request),
        }
        if request.is_in_session:
            arguments["body"] = request.body
        else:
            values = values_for(request.variables, request.body)
            if values is None or not self._settings.whatsapp_template_sid:
                return SendResult.refused(TEMPLATE_REQUIRED)
            arguments["content_sid"] = self._settings.whatsapp_template_sid
            arguments["content_variables"] = json.dumps(values, ensure_ascii=False)
        return arguments
