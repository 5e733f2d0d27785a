"""What becomes of a mail: sending events by way of SNS, and the suppression list they feed.

What lives here: messaging sheet 4.5. What does not: the API (``ses``).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.state import AcceptedMessage, iso

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.topics import Topics
    from leadpipe.sandbox.outcomes import Outcomes
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
# One event of a mail: its type, its details, what happens at the account at the same time.
Step = tuple[str, Row, Callable[[], None] | None]
SIMULATOR = "@simulator.amazonses.com"


@dataclass(frozen=True, kw_only=True)
class Suppressed:
    """One entry of the account's suppression list; ``at`` in simulated seconds since 1970."""

    reason: str
    at: float


class MailEvents:
    """Plays the life of every accepted mail.

    Attributes:
        suppressed: the account's list. A mail to one succeeds and then bounces.
        dead_addresses: mailboxes that do not exist.
    """

    def __init__(self, sandbox: Sandbox, topics: Topics, outcomes: Outcomes) -> None:
        self._sandbox = sandbox
        self._topics = topics
        self._outcomes = outcomes
        self._dice = random.Random(sandbox.config.seed)
        self.suppressed: dict[str, Suppressed] = {}
        self.dead_addresses: set[str] = set()

    def suppress(self, address: str, reason: str) -> None:
        """Put an address on the list."""
        self.suppressed[address.lower()] = Suppressed(reason=reason, at=self._sandbox.now().timestamp())

    def will_arrive(self, address: str) -> bool:
        """Whether a mail to this address reaches a mailbox."""
        return address.lower() not in self.suppressed and address.lower() not in self.dead_addresses

    def play(self, message: AcceptedMessage, configuration_set: str | None) -> None:
        """Schedule the events of a mail. Without a configuration set nobody hears of them."""
        steps = self._steps(message)
        faults, scheduler = self._sandbox.faults, self._sandbox.scheduler
        pace = self._sandbox.config.carrier_pace
        delays = [pace * (0.2 + 0.6 * number + 0.2 * self._dice.random()) for number in range(len(steps))]
        if faults.strikes("ses_event_reordered", message.to):
            delays.reverse()
        for (kind, details, effect), delay in zip(steps, delays, strict=True):
            if effect is not None:
                scheduler.after(delay, effect)
            if not configuration_set or faults.strikes("ses_event_lost", message.to):
                continue
            if faults.strikes("ses_event_delayed", message.to):
                delay += faults.value("ses_event_delayed", 20.0)  # noqa: PLW2901 - later by the fault
            scheduler.after(delay, lambda k=kind, d=details: self._tell(message, k, d))
            if faults.strikes("ses_event_repeated", message.to):
                scheduler.after(delay + pace, lambda k=kind, d=details: self._tell(message, k, d))

    def _steps(self, message: AcceptedMessage) -> list[Step]:
        address = message.to.lower()
        name = address.partition("@")[0].partition("+")[0] if address.endswith(SIMULATOR) else ""
        take = self._outcomes.take
        if take(address, "reject"):
            return [("Reject", {"reject": {"reason": "Bad content"}}, None)]
        steps: list[Step] = [("Send", {"send": {}}, None)]
        if take(address, "delay"):
            steps.append(("DeliveryDelay", self._delay(message), None))
        bounce = take(address, "bounce") or {"bounce": "Permanent/General"}.get(name)
        if address in self.suppressed or name == "suppressionlist":
            return [*steps, ("Bounce", self._bounce(message, "Permanent/OnAccountSuppressionList"), None)]
        if bounce or address in self.dead_addresses:
            kind = bounce or "Permanent/General"
            is_hard = kind.startswith("Permanent")
            effect = (lambda: self.suppress(address, "BOUNCE")) if is_hard else None
            return [*steps, ("Bounce", self._bounce(message, kind), effect)]
        steps.append(("Delivery", self._delivery(message), None))
        if name == "ooto":
            steps.append(("Bounce", self._bounce(message, "Transient/General"), None))
        if name == "complaint" or take(address, "complaint"):
            steps.append(("Complaint", self._complaint(message), lambda: self.suppress(address, "COMPLAINT")))
        return steps

    async def complain(self, message: AcceptedMessage, on_taken: Callable[[], None]) -> None:
        """The receiver presses "this is spam"; ``on_taken`` is called when our side has the notice."""
        self.suppress(message.to, "COMPLAINT")
        await self._tell(message, "Complaint", self._complaint(message), on_taken)

    # details

    def _delivery(self, message: AcceptedMessage) -> Row:
        return {
            "delivery": {
                "timestamp": iso(self._sandbox.now()), "processingTimeMillis": 877, "recipients": [message.to],
                "smtpResponse": "250 2.0.0 OK", "reportingMTA": "a1-2.smtp-out.amazonses.com",
            }
        }  # fmt: skip

    def _bounce(self, message: AcceptedMessage, kind: str) -> Row:
        bounce_type, _, subtype = kind.partition("/")
        is_hard = bounce_type == "Permanent"
        recipient = {
            "emailAddress": message.to, "action": "failed" if is_hard else "delayed",
            "status": "5.1.1" if is_hard else "4.2.2",
            "diagnosticCode": "smtp; 550 5.1.1 user unknown" if is_hard else "smtp; 452 4.2.2 mailbox full",
        }  # fmt: skip
        return {
            "bounce": {
                "bounceType": bounce_type, "bounceSubType": subtype or "General", "bouncedRecipients": [recipient],
                "timestamp": iso(self._sandbox.now()), "feedbackId": f"0100{uuid.uuid4().hex}-000000",
                "reportingMTA": "dns; a1-2.smtp-out.amazonses.com",
            }
        }  # fmt: skip

    def _complaint(self, message: AcceptedMessage) -> Row:
        now = iso(self._sandbox.now())
        return {
            "complaint": {
                "complainedRecipients": [{"emailAddress": message.to}], "timestamp": now,
                "feedbackId": f"0100{uuid.uuid4().hex}-000000", "complaintSubType": None,
                "userAgent": "Feedback-Loop/1.0", "complaintFeedbackType": "abuse", "arrivalDate": now,
            }
        }  # fmt: skip

    def _delay(self, message: AcceptedMessage) -> Row:
        recipient = {"emailAddress": message.to, "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 timeout"}
        return {
            "deliveryDelay": {
                "timestamp": iso(self._sandbox.now()), "delayType": "TransientCommunicationFailure",
                "expirationTime": iso(self._sandbox.now()), "delayedRecipients": [recipient],
            }
        }  # fmt: skip

    async def _tell(
        self, message: AcceptedMessage, kind: str, details: Row, on_taken: Callable[[], None] | None = None
    ) -> None:  # fmt: skip
        config = self._sandbox.config
        tags: dict[str, list[str]] = {
            "ses:operation": ["SendEmail"], "ses:configuration-set": [config.configuration_set],
            "ses:source-ip": ["192.0.2.1"], "ses:from-domain": [config.mail_domain], "ses:caller-identity": ["app"],
        }  # fmt: skip
        tags |= {name[6:]: [value] for name, value in message.headers.items() if name.startswith("X-Tag-")}
        mail = {
            "timestamp": iso(message.accepted_at), "source": message.from_,
            "sourceArn": f"arn:aws:ses:us-east-1:123456789012:identity/{config.mail_domain}",
            "sendingAccountId": "123456789012", "messageId": message.provider_id, "destination": [message.to],
            "headersTruncated": False, "headers": [{"name": "From", "value": message.from_}],
            "commonHeaders": {"from": [message.from_], "to": [message.to], "messageId": message.provider_id,
                              "subject": message.subject},
            "tags": tags,
        }  # fmt: skip
        event = {"eventType": kind, "mail": mail, **details}
        await self._topics.publish(event, carries="events", on_taken=on_taken)
