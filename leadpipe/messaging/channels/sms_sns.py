"""SMS by Amazon SNS, the alternative to Twilio (setting ``sms_provider``).

What lives here: the Publish call. What does not: delivery results: SNS reports them only in CloudWatch Logs, so a
message stays ``accepted``; and no id of ours can travel along, so an unknown one is parked, never sent again
(messaging sheet 5.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadpipe.messaging.channels.aws import call_outcome
from leadpipe.messaging.channels.base import SendRequest, SendResult

if TYPE_CHECKING:
    from leadpipe.settings import Settings


class SnsSms:
    """SMS through SNS. ``client`` is a boto3 ``sns`` client with one attempt."""

    provider = "sns"

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def send(self, request: SendRequest) -> SendResult:
        """Publish one text to one number."""
        kind = "Promotional" if request.purpose == "marketing" else "Transactional"
        attributes = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": kind}}
        if self._settings.sms_number:
            attributes["AWS.MM.SMS.OriginationNumber"] = {
                "DataType": "String",
                "StringValue": self._settings.sms_number,
            }
        return call_outcome(
            lambda: self._client.publish(PhoneNumber=request.to, Message=request.body, MessageAttributes=attributes)
        )
