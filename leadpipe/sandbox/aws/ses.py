"""SES v2 over HTTP: SendEmail, the account, identities, configuration sets, the suppression list.

What lives here: messaging sheet 4.2 to 4.4. What does not: what becomes of a mail (``mail_events``), mail that comes in
(``mail_inbound``).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import secrets
import uuid
from collections import deque
from datetime import datetime
from email import message_from_bytes, policy
from email.utils import parseaddr
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.cut import CutConnection
from leadpipe.sandbox.state import AcceptedMessage, Sandbox

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.mail_events import MailEvents

Row = dict[str, Any]
BASE = "/ses/v2/email"
MAX_RECIPIENTS = 50
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_HEADER = re.compile(r"[!-9;-~]{1,126}")
_PAIR = re.compile(r"([A-Za-z0-9_-]+)=([A-Za-z0-9_-]+)")
# Raw mail may name its configuration set in a header.
SET_HEADER = "X-SES-CONFIGURATION-SET"
EVENT_TYPES = ("SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "RENDERING_FAILURE", "DELIVERY_DELAY")


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that SES refuses."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class Ses:
    """The SES endpoint."""

    def __init__(self, sandbox: Sandbox, events: MailEvents) -> None:
        self._sandbox = sandbox
        self._events = events
        self._sent: deque[float] = deque()
        self.count = 0

    def routes(self) -> list[Route]:
        """Everything under ``/ses/v2/email``."""
        sets = BASE + "/configuration-sets/{name}"
        addresses = BASE + "/suppression/addresses"
        return [
            Route(BASE + "/outbound-emails", self.send, methods=["POST"]),
            Route(BASE + "/account", self.account, methods=["GET"]),
            Route(BASE + "/identities", self.identities, methods=["GET"]),
            Route(BASE + "/list-identities", self.identities, methods=["POST"]),
            Route(BASE + "/identities/{name}", self.identity, methods=["GET"]),
            Route(BASE + "/configuration-sets", self.sets, methods=["GET"]),
            Route(BASE + "/list-configuration-sets", self.sets, methods=["POST"]),
            Route(sets, self.set, methods=["GET"]),
            Route(sets + "/event-destinations", self.destinations, methods=["GET"]),
            Route(addresses, self.suppress, methods=["PUT"]),
            Route(addresses, self.suppressed, methods=["GET"]),
            Route(addresses + "/{address:path}", self.suppressed_address, methods=["GET", "DELETE"]),
        ]

    # sending

    async def send(self, request: Request) -> Response:
        """SendEmail: a MessageId means accepted; bounces and complaints come as events."""
        faults = self._sandbox.faults
        body: Row = json.loads(await request.body() or b"{}")
        to = (body.get("Destination", {}).get("ToAddresses") or [""])[0]
        try:
            if faults.strikes("ses_429", to) or self._is_too_fast():
                raise Refused(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
            if faults.strikes("ses_500", to):
                raise Refused(500, "InternalServiceErrorException", "Internal failure")
            self._check(body)
            messages = self._enter(body)
        except Refused as refusal:
            return _failure(refusal)
        for message in messages:
            self._events.play(message, body.get("ConfigurationSetName") or message.headers.get(SET_HEADER))
        if faults.strikes("ses_drop_after", to):
            raise CutConnection
        if faults.strikes("ses_500_after", to):
            return _failure(Refused(500, "InternalServiceErrorException", "Internal failure"))
        if faults.strikes("ses_empty_after", to):
            return Response(b"", 200, media_type="application/json")
        if faults.strikes("ses_hang_after", to):
            await asyncio.sleep(faults.value("ses_hang_after", 60.0))
        return _answer({"MessageId": messages[0].provider_id})

    def _is_too_fast(self) -> bool:
        """Above ``MaxSendRate`` within a second of the wall clock."""
        now = monotonic()
        while self._sent and self._sent[0] <= now - 1:
            self._sent.popleft()
        if len(self._sent) >= self._sandbox.config.ses_max_send_rate:
            return True
        self._sent.append(now)
        return False

    def _check(self, body: Row) -> None:
        config = self._sandbox.config
        content: Row = body.get("Content") or {}
        if sum(key in content for key in ("Simple", "Raw", "Template")) != 1:
            raise Refused(400, "BadRequestException", "Content must be exactly one of Simple, Raw, Template")
        if "Template" in content:
            raise Refused(404, "NotFoundException", "Template does not exist")
        destination: Row = body.get("Destination") or {}
        to = [each for kind in ("ToAddresses", "CcAddresses", "BccAddresses") for each in destination.get(kind) or ()]
        if not to or len(to) > MAX_RECIPIENTS:
            raise Refused(400, "BadRequestException", "Recipient count must be between 1 and 50")
        for address in to:
            if "@" not in parseaddr(address)[1].strip("@"):
                raise Refused(400, "BadRequestException", f"Missing final '@domain' ({len(address)} characters)")
        for tag in body.get("EmailTags") or ():
            if not (_TAG.fullmatch(tag.get("Name", "")) and _TAG.fullmatch(tag.get("Value", ""))):
                raise Refused(
                    400, "BadRequestException", "Invalid message tag: only A-Z, a-z, 0-9, _ and - are allowed"
                )
        headers = content.get("Simple", {}).get("Headers") or ()
        if len(headers) > 15 or any(not _HEADER.fullmatch(h["Name"]) or len(h["Value"]) > 995 for h in headers):
            raise Refused(400, "BadRequestException", "Invalid header")
        name = body.get("ConfigurationSetName")
        if name and name != config.configuration_set:
            raise Refused(404, "NotFoundException", f"Configuration set <{name}> does not exist.")
        if self.count + len(to) > config.ses_max_24_hour_send:
            raise Refused(400, "LimitExceededException", "Daily message quota exceeded.")

    def _enter(self, body: Row) -> list[AcceptedMessage]:
        content: Row = body["Content"]
        subject, text, headers = _simple(content["Simple"]) if "Simple" in content else _raw(content["Raw"])
        sender = body.get("FromEmailAddress") or headers.get("From", "")
        domain = parseaddr(sender)[1].rpartition("@")[2].lower()
        verified = self._sandbox.config.mail_domain
        if domain != verified and not domain.endswith("." + verified):
            raise Refused(
                400, "MessageRejected", "Email address is not verified. The following identities failed the check in "
                f"region US-EAST-1: {domain or 'none'}"
            )  # fmt: skip
        tags = dict(_PAIR.findall(headers.get("X-SES-MESSAGE-TAGS", "")))
        tags |= {tag["Name"]: tag["Value"] for tag in body.get("EmailTags") or ()}
        occurrence = tags.get("leadpipe_occ", "")
        reply_to = (body.get("ReplyToAddresses") or [headers.get("Reply-To") or sender])[0]
        found: list[AcceptedMessage] = []
        for kind in ("ToAddresses", "CcAddresses", "BccAddresses"):
            for address in body["Destination"].get(kind) or ():
                self.count += 1
                message = AcceptedMessage(
                    provider="ses", channel="email", to=parseaddr(address)[1], from_=sender, subject=subject, body=text,
                    our_id=tags.get("leadpipe_mid"), plan=tags.get("leadpipe_plan"), step=tags.get("leadpipe_step"),
                    occurrence=int(occurrence) if occurrence.isdigit() else None,
                    provider_id=found[0].provider_id if found else f"0100{secrets.token_hex(6)}-{uuid.uuid4()}-000000",
                    accepted_at=self._sandbox.now(), accepted_wall_at=self._sandbox.wall(),
                    headers=headers | {f"X-Tag-{name}": value for name, value in tags.items()}, reply_to=reply_to,
                    is_delivered=self._events.will_arrive(parseaddr(address)[1]),
                )  # fmt: skip
                self._sandbox.accept(message)
                found.append(message)
        return found

    # reading

    async def account(self, request: Request) -> Response:
        """GetAccount."""
        del request
        config = self._sandbox.config
        return _answer(
            {"SendQuota": {"Max24HourSend": config.ses_max_24_hour_send, "MaxSendRate": config.ses_max_send_rate,
                           "SentLast24Hours": float(self.count)},
             "ProductionAccessEnabled": True, "SendingEnabled": True, "EnforcementStatus": "HEALTHY",
             "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
             "DedicatedIpAutoWarmupEnabled": False, "Details": {}, "VdmAttributes": {"VdmEnabled": "DISABLED"}}
        )  # fmt: skip

    async def identities(self, request: Request) -> Response:
        """ListEmailIdentities."""
        del request
        row = {"IdentityType": "DOMAIN", "IdentityName": self._sandbox.config.mail_domain, "SendingEnabled": True,
               "VerificationStatus": "SUCCESS"}  # fmt: skip
        return _answer({"EmailIdentities": [row]})

    async def identity(self, request: Request) -> Response:
        """GetEmailIdentity: our domain is verified, with DKIM."""
        name = request.path_params["name"]
        if name.rpartition("@")[2] != self._sandbox.config.mail_domain:
            return _failure(Refused(404, "NotFoundException", f"Email identity {name} does not exist."))
        return _answer(
            {"IdentityType": "DOMAIN", "VerifiedForSendingStatus": True, "VerificationStatus": "SUCCESS",
             "FeedbackForwardingStatus": True, "Tags": [], "Policies": {},
             "DkimAttributes": {"SigningEnabled": True, "Status": "SUCCESS", "Tokens": ["a", "b", "c"],
                                "SigningAttributesOrigin": "AWS_SES"},
             "MailFromAttributes": {"MailFromDomain": f"bounce.{self._sandbox.config.mail_domain}",
                                    "MailFromDomainStatus": "SUCCESS", "BehaviorOnMxFailure": "USE_DEFAULT_VALUE"}}
        )  # fmt: skip

    async def sets(self, request: Request) -> Response:
        """ListConfigurationSets."""
        del request
        return _answer({"ConfigurationSets": [self._sandbox.config.configuration_set]})

    async def set(self, request: Request) -> Response:
        """GetConfigurationSet."""
        name = request.path_params["name"]
        if name != self._sandbox.config.configuration_set:
            return _failure(Refused(404, "NotFoundException", f"Configuration set <{name}> does not exist."))
        return _answer({"ConfigurationSetName": name, "SendingOptions": {"SendingEnabled": True}, "Tags": []})

    async def destinations(self, request: Request) -> Response:
        """GetConfigurationSetEventDestinations: everything but opens and clicks goes to the topic."""
        name = request.path_params["name"]
        if name != self._sandbox.config.configuration_set:
            return _failure(Refused(404, "NotFoundException", f"Configuration set <{name}> does not exist."))
        row = {"Name": "leadpipe-sns", "Enabled": True, "MatchingEventTypes": list(EVENT_TYPES),
               "SnsDestination": {"TopicArn": self._sandbox.config.ses_topic_arn}}  # fmt: skip
        return _answer({"EventDestinations": [row]})

    # suppression

    async def suppress(self, request: Request) -> Response:
        """PutSuppressedDestination."""
        body: Row = json.loads(await request.body())
        if body.get("Reason") not in {"BOUNCE", "COMPLAINT"} or "@" not in body.get("EmailAddress", ""):
            return _failure(Refused(400, "BadRequestException", "Invalid suppressed destination"))
        self._events.suppress(body["EmailAddress"], body["Reason"])
        return _answer({})

    async def suppressed(self, request: Request) -> Response:
        """ListSuppressedDestinations, by reason and date, paged."""
        query = request.query_params
        reasons = set(query.getlist("Reason"))
        since, until = (_seconds(query.get(name)) for name in ("StartDate", "EndDate"))
        rows = [
            {"EmailAddress": address, "Reason": entry.reason, "LastUpdateTime": entry.at}
            for address, entry in self._events.suppressed.items()
            if (not reasons or entry.reason in reasons) and entry.at >= since and (not until or entry.at <= until)
        ]
        size, text = int(query.get("PageSize", 100)), query.get("NextToken", "")
        start = int(text) if text.isdigit() else 0
        more = {"NextToken": str(start + size)} if len(rows) > start + size else {}
        return _answer({"SuppressedDestinationSummaries": rows[start : start + size], **more})

    async def suppressed_address(self, request: Request) -> Response:
        """Get or delete one suppressed destination."""
        address = request.path_params["address"].lower()
        entry = self._events.suppressed.get(address)
        if entry is None:
            words = f"Email address {address} does not exist on your suppression list."
            return _failure(Refused(404, "NotFoundException", words))
        if request.method == "DELETE":
            del self._events.suppressed[address]
            return _answer({})
        row = {"EmailAddress": address, "Reason": entry.reason, "LastUpdateTime": entry.at, "Attributes": {}}
        return _answer({"SuppressedDestination": row})


def _seconds(text: str | None) -> float:
    """A time of a query, which botocore writes in ISO; 0 for none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0


def _simple(simple: Row) -> tuple[str, str, dict[str, str]]:
    body: Row = simple.get("Body") or {}
    text = (body.get("Text") or body.get("Html") or {}).get("Data", "")
    return simple["Subject"]["Data"], text, {entry["Name"]: entry["Value"] for entry in simple.get("Headers") or ()}


def _raw(raw: Row) -> tuple[str, str, dict[str, str]]:
    try:
        mail = message_from_bytes(base64.b64decode(raw["Data"], validate=True), policy=policy.default)
    except (KeyError, binascii.Error) as error:
        raise Refused(400, "BadRequestException", "Raw data cannot be read") from error
    part = mail.get_body(("plain", "html"))
    return str(mail["Subject"] or ""), part.get_content() if part else "", {k: str(v) for k, v in mail.items()}


def _answer(body: Row) -> Response:
    return Response(orjson.dumps(body), 200, {"x-amzn-RequestId": str(uuid.uuid4())}, "application/json")


def _failure(refusal: Refused) -> Response:
    headers = {"x-amzn-ErrorType": refusal.kind, "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(orjson.dumps({"message": str(refusal)}), refusal.status, headers, "application/json")
