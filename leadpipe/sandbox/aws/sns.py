"""SNS over the query protocol: SMS to a number, opt-outs, the topic's subscriptions, the certificate.

What lives here: messaging sheet 5.1 and the wire of 4.6. What does not: notifications themselves (``topics``).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.cut import CutConnection
from leadpipe.sandbox.state import AcceptedMessage

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.signing import Signer
    from leadpipe.sandbox.aws.topics import Topics
    from leadpipe.sandbox.state import Sandbox

XMLNS = "http://sns.amazonaws.com/doc/2010-03-31/"
Form = dict[str, str]
_E164 = re.compile(r"\+[1-9]\d{7,14}")
MAX_BYTES = 1_600
# Whole-text keywords of the account-wide opt-out list.
STOP_WORDS = frozenset(
    {"arret", "cancel", "end", "opt-out", "optout", "quit", "remove", "stop", "td", "unsubscribe"}
)  # fmt: skip
PER_PAGE = 100


class Sns:
    """The SNS endpoint.

    Attributes:
        opted_out: numbers on the account's list. A publish to one still succeeds; only a log would tell.
        on_listed: called for a number when leadpipe first reads that it is on the list.
    """

    def __init__(self, sandbox: Sandbox, topics: Topics, signer: Signer) -> None:
        self._sandbox = sandbox
        self._topics = topics
        self._signer = signer
        self.opted_out: dict[str, None] = {}
        self.on_listed: dict[str, Callable[[], None]] = {}

    def routes(self) -> list[Route]:
        """Everything under ``/sns``."""
        return [
            Route("/sns/cert.pem", self.certificate, methods=["GET"]),
            Route("/sns/ca.pem", self.authority, methods=["GET"]),
            Route("/sns/", self.serve, methods=["GET", "POST"]),
            Route("/sns", self.serve, methods=["GET", "POST"]),
        ]

    async def certificate(self, request: Request) -> Response:
        """The signing certificate."""
        del request
        return Response(self._signer.certificate, media_type="application/x-pem-file")

    async def authority(self, request: Request) -> Response:
        """Its issuer."""
        del request
        return Response(self._signer.authority, media_type="application/x-pem-file")

    async def serve(self, request: Request) -> Response:
        """One action."""
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True)
        form = dict(pairs) or dict(request.query_params)
        action = form.get("Action", "")
        if action == "Publish":
            return await self._publish(form)
        handler = {
            "CheckIfPhoneNumberIsOptedOut": self._is_opted_out, "ListPhoneNumbersOptedOut": self._list_opted_out,
            "OptInPhoneNumber": self._opt_in, "Subscribe": self._subscribe, "ConfirmSubscription": self._confirm,
            "Unsubscribe": self._unsubscribe, "ListSubscriptionsByTopic": self._subscriptions,
            "GetTopicAttributes": self._attributes, "SetTopicAttributes": self._set_attributes,
            "GetSMSAttributes": self._sms_attributes, "GetSMSSandboxAccountStatus": self._sandbox_status,
        }.get(action)  # fmt: skip
        if handler is None:
            return _failure(400, "InvalidAction", f"The action {action} is not valid for this endpoint.")
        return handler(form)

    # SMS

    async def _publish(self, form: Form) -> Response:
        number, words = form.get("PhoneNumber", ""), form.get("Message", "")
        faults = self._sandbox.faults
        if faults.strikes("sns_429", number):
            return _failure(400, "Throttling", "Rate exceeded")
        if faults.strikes("sns_500", number):
            return _failure(500, "InternalError", "Internal failure")
        if not _E164.fullmatch(number):
            return _failure(400, "InvalidParameter", "Invalid parameter: PhoneNumber")
        if not words or len(words.encode()) > MAX_BYTES:
            return _failure(400, "InvalidParameter", "Invalid parameter: Message")
        message_id = str(uuid.uuid4())
        self._sandbox.accept(
            AcceptedMessage(
                provider="sns", channel="sms", to=number, from_="sns", body=words, provider_id=message_id,
                accepted_at=self._sandbox.now(), accepted_wall_at=self._sandbox.wall(),
                is_delivered=number not in self.opted_out,
            )
        )  # fmt: skip
        if faults.strikes("sns_drop_after", number):
            raise CutConnection
        if faults.strikes("sns_500_after", number):
            return _failure(500, "InternalError", "Internal failure")
        if faults.strikes("sns_hang_after", number):
            await asyncio.sleep(faults.value("sns_hang_after", 60.0))
        return _answer("Publish", f"<MessageId>{message_id}</MessageId>")

    def opt_out(self, number: str, on_listed: Callable[[], None] | None = None) -> None:
        """A person sent a keyword; no webhook tells of it, only the list."""
        self.opted_out[number] = None
        if on_listed is not None:
            self.on_listed[number] = on_listed

    def _seen(self, number: str) -> None:
        told = self.on_listed.pop(number, None)
        if told is not None:
            told()

    def _is_opted_out(self, form: Form) -> Response:
        number = form.get("phoneNumber", "")
        is_out = number in self.opted_out
        if is_out:
            self._seen(number)
        return _answer(form["Action"], f"<isOptedOut>{str(is_out).lower()}</isOptedOut>")

    def _list_opted_out(self, form: Form) -> Response:
        text = form.get("nextToken", "")
        start = int(text) if text.isdigit() else 0
        numbers = list(self.opted_out)
        shown = numbers[start : start + PER_PAGE]
        for number in shown:
            self._seen(number)
        members = "".join(f"<member>{number}</member>" for number in shown)
        has_more = start + PER_PAGE < len(numbers)
        more = f"<nextToken>{start + PER_PAGE}</nextToken>" if has_more else ""
        return _answer(form["Action"], f"<phoneNumbers>{members}</phoneNumbers>{more}")

    def _opt_in(self, form: Form) -> Response:
        self.opted_out.pop(form.get("phoneNumber", ""), None)
        return _answer(form["Action"], "")

    def _sms_attributes(self, form: Form) -> Response:
        entries = "".join(
            f"<entry><key>{key}</key><value>{value}</value></entry>"
            for key, value in (("MonthlySpendLimit", "1000"), ("DefaultSMSType", "Promotional"))
        )
        return _answer(form["Action"], f"<attributes>{entries}</attributes>")

    def _sandbox_status(self, form: Form) -> Response:
        return _answer(form["Action"], "<IsInSandbox>false</IsInSandbox>")

    # topics

    def _subscribe(self, form: Form) -> Response:
        if form.get("TopicArn") != self._topics.arn:
            return _failure(404, "NotFound", "Topic does not exist")
        if form.get("Protocol") not in {"http", "https"} or not form.get("Endpoint", "").startswith("http"):
            return _failure(400, "InvalidParameter", "Invalid parameter: Endpoint")
        return _answer("Subscribe", f"<SubscriptionArn>{self._topics.subscribe(form['Endpoint'])}</SubscriptionArn>")

    def _confirm(self, form: Form) -> Response:
        arn = self._topics.confirm(form.get("Token", ""))
        if arn is None:
            return _failure(400, "InvalidParameter", "Invalid token")
        return _answer("ConfirmSubscription", f"<SubscriptionArn>{arn}</SubscriptionArn>")

    def _unsubscribe(self, form: Form) -> Response:
        self._topics.unsubscribe(form.get("SubscriptionArn", ""))
        return _answer("Unsubscribe", "")

    def _subscriptions(self, form: Form) -> Response:
        members = "".join(
            f"<member><TopicArn>{self._topics.arn}</TopicArn><Protocol>http</Protocol><SubscriptionArn>"
            f"{each.arn if each.is_confirmed else 'PendingConfirmation'}</SubscriptionArn><Owner>123456789012</Owner>"
            f"<Endpoint>{escape(self._topics.address(each))}</Endpoint></member>"
            for each in self._topics.subscriptions.values()
        )
        return _answer(form["Action"], f"<Subscriptions>{members}</Subscriptions>")

    def _attributes(self, form: Form) -> Response:
        if form.get("TopicArn") != self._topics.arn:
            return _failure(404, "NotFound", "Topic does not exist")
        confirmed = sum(each.is_confirmed for each in self._topics.subscriptions.values())
        pairs = {"TopicArn": self._topics.arn, "SignatureVersion": self._topics.version,
                 "SubscriptionsConfirmed": confirmed, "Owner": "123456789012"}  # fmt: skip
        entries = "".join(f"<entry><key>{key}</key><value>{value}</value></entry>" for key, value in pairs.items())
        return _answer(form["Action"], f"<Attributes>{entries}</Attributes>")

    def _set_attributes(self, form: Form) -> Response:
        if form.get("AttributeName") == "SignatureVersion" and form.get("AttributeValue") in {"1", "2"}:
            self._topics.version = form["AttributeValue"]
            return _answer(form["Action"], "")
        return _failure(400, "InvalidParameter", "Invalid parameter: AttributeName")


def _answer(action: str, result: str) -> Response:
    body = (
        f'<{action}Response xmlns="{XMLNS}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(body, media_type="text/xml")


def _failure(status: int, code: str, message: str) -> Response:
    side = "Sender" if status < 500 else "Receiver"
    body = (
        f'<ErrorResponse xmlns="{XMLNS}"><Error><Type>{side}</Type><Code>{code}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Response(body, status, media_type="text/xml")
