"""SNS topics over HTTP: subscriptions, their confirmation, signed notifications with retries.

What lives here: messaging sheet 4.6 and the query protocol's topic actions. What does not: SMS (``sms``).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.signing import Signer
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
# The default policy: three more tries, 20 seconds of the calendar apart, 15 seconds to answer.
RETRIES = 3
RETRY_SECONDS = 20.0
TIMEOUT_SECONDS = 15.0


@dataclass(kw_only=True)
class Subscription:
    """One endpoint of the topic; ``carries`` limits it to events or to inbound mail, as two topics would."""

    arn: str
    endpoint: str
    token: str = ""
    is_confirmed: bool = False
    carries: str = ""


class Topics:
    """The one topic of the account. The gateway's two addresses are subscribed and confirmed from the start."""

    def __init__(self, sandbox: Sandbox, signer: Signer) -> None:
        self._sandbox = sandbox
        self._signer = signer
        config = sandbox.config
        self.arn = config.ses_topic_arn
        self.version = config.sns_signature_version
        self.subscriptions: dict[str, Subscription] = {}
        for path, carries in ((config.ses_events_path, "events"), (config.ses_inbound_path, "inbound")):
            self._add(Subscription(arn=self._new_arn(), endpoint=path, is_confirmed=True, carries=carries))

    def _new_arn(self) -> str:
        return f"{self.arn}:{uuid.uuid4()}"

    def _add(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.arn] = subscription

    def address(self, subscription: Subscription) -> str:
        """Where it is; the gateway's own are paths below the configured address."""
        if subscription.endpoint.startswith("/"):
            return self._sandbox.config.gateway_url.rstrip("/") + subscription.endpoint
        return subscription.endpoint

    # managing

    def subscribe(self, endpoint: str) -> str:
        """A new endpoint, told to confirm; its ARN shows only then."""
        subscription = Subscription(arn=self._new_arn(), endpoint=endpoint, token=uuid.uuid4().hex * 2)
        self._add(subscription)
        self._sandbox.scheduler.after(0.1, lambda: self._ask_to_confirm(subscription))
        return "pending confirmation"

    def confirm(self, token: str) -> str | None:
        """The ARN of the endpoint that holds this token."""
        for subscription in self.subscriptions.values():
            if token and subscription.token == token:
                subscription.is_confirmed = True
                return subscription.arn
        return None

    def unsubscribe(self, arn: str) -> None:
        """Forget an endpoint."""
        self.subscriptions.pop(arn, None)

    async def _ask_to_confirm(self, subscription: Subscription) -> None:
        base = self._sandbox.config.base_url
        url = f"{base}/sns/?Action=ConfirmSubscription&TopicArn={self.arn}&Token={subscription.token}"
        words = f"You have chosen to subscribe to the topic {self.arn}. To confirm, visit the SubscribeURL."
        extra = {"Token": subscription.token, "SubscribeURL": url}
        envelope = self._signer.envelope(
            "SubscriptionConfirmation", words, topic_arn=self.arn, version=self.version, extra=extra
        )
        await self._try(subscription, envelope, RETRIES, _Notice(on_taken=None))

    # publishing

    async def publish(self, message: Row, *, carries: str, on_taken: Callable[[], None] | None = None) -> bool:
        """Tell every endpoint of this kind; whether one of them took it at the first attempt.

        ``on_taken`` is called once, whenever the first of them takes it, retries included.
        """
        notice = _Notice(on_taken=on_taken)
        text = json.dumps(message)
        for subscription in list(self.subscriptions.values()):
            if subscription.is_confirmed and subscription.carries in {"", carries}:
                envelope = self._signer.envelope("Notification", text, topic_arn=self.arn, version=self.version)
                await self._try(subscription, envelope, RETRIES, notice)
        return notice.is_taken

    async def _try(self, subscription: Subscription, envelope: Row, retries: int, notice: _Notice) -> None:
        """One attempt. A timeout or a 5xx is tried again later, a 4xx loses the notice for good."""
        headers = {
            "Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": envelope["Type"],
            "x-amz-sns-message-id": envelope["MessageId"], "x-amz-sns-topic-arn": self.arn,
            "User-Agent": "Amazon Simple Notification Service Agent",
        }  # fmt: skip
        if envelope["Type"] == "Notification":
            headers["x-amz-sns-subscription-arn"] = subscription.arn
        answer = await self._sandbox.delivery.post(
            self.address(subscription), json.dumps(envelope), headers, timeout=TIMEOUT_SECONDS
        )
        if answer.is_success:
            notice.taken()
        elif not 200 <= answer.status < 500 and retries:
            # The MessageId stays the same over the tries, so a receiver can tell a repetition.
            later = self._sandbox.scheduler.after_simulated
            later(RETRY_SECONDS, lambda: self._try(subscription, envelope, retries - 1, notice))


@dataclass(kw_only=True)
class _Notice:
    """Whether anybody took a message yet."""

    on_taken: Callable[[], None] | None
    is_taken: bool = False

    def taken(self) -> None:
        if not self.is_taken and self.on_taken is not None:
            self.on_taken()
        self.is_taken = True
