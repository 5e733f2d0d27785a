"""Amazon SES v2 with its events and inbound mail, and SNS: SMS, topics, signed HTTP notifications.

What lives here: the wire and the rules of the messaging sheet's sections 4 and 5. What does not: who answers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from fastapi import APIRouter, Request, Response

from leadpipe.sandbox.state import AcceptedMessage, iso

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
XMLNS = "http://sns.amazonaws.com/doc/2010-03-31/"


class AwsApi:
    """The fake account: suppression list, subscriptions, SMS opt-outs, and one signing key per process."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.suppressed: dict[str, str] = {}
        self.dead_addresses: set[str] = set()
        self.endpoints: dict[str, Row] = {}
        self.opted_out: set[str] = set()
        self.count = 0
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = _certificate(self._key)

    def router(self) -> APIRouter:
        """Everything under ``/ses`` and ``/sns``."""
        router = APIRouter()
        email = "/ses/v2/email"
        router.add_api_route(email + "/outbound-emails", self.send_email, methods=["POST"])
        router.add_api_route(email + "/account", self.account, methods=["GET"])
        router.add_api_route(email + "/identities/{name}", self.identity, methods=["GET"])
        router.add_api_route(email + "/configuration-sets/{name}", self.configuration_set, methods=["GET"])
        router.add_api_route(email + "/suppression/addresses", self.put_suppressed, methods=["PUT"])
        router.add_api_route(email + "/suppression/addresses", self.list_suppressed, methods=["GET"])
        router.add_api_route(
            email + "/suppression/addresses/{address}", self.suppressed_address, methods=["GET", "DELETE"]
        )
        router.add_api_route("/sns/cert.pem", self.certificate, methods=["GET"])
        router.add_api_route("/sns/", self.sns, methods=["POST", "GET"])
        router.add_api_route("/sns", self.sns, methods=["POST"])
        return router

    # SES

    async def send_email(self, request: Request) -> Response:
        """SendEmail: a MessageId means accepted; bounces and complaints come as events."""
        faults = self._sandbox.faults
        if faults.strikes("ses_429"):
            return _ses_error(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        body: Row = await request.json()
        content = body.get("Content", {})
        to = body.get("Destination", {}).get("ToAddresses", [])
        if len(to) != 1 or "@" not in to[0]:
            return _ses_error(400, "BadRequestException", "Missing final '@domain'")
        if sum(key in content for key in ("Simple", "Raw", "Template")) != 1:
            return _ses_error(400, "BadRequestException", "Content must be exactly one of Simple, Raw, Template")
        message = self._booked(body, content, to[0])
        if faults.strikes("ses_hang"):
            await asyncio.sleep(60)
        if faults.strikes("ses_500_after"):
            return _ses_error(500, "InternalServiceErrorException", "Internal failure")
        if faults.strikes("ses_drop_after"):
            return Response(b"", 200, media_type="application/json")
        self._play(message, body)
        headers = {"x-amzn-RequestId": str(uuid.uuid4())}
        return Response(orjson.dumps({"MessageId": message.provider_id}), 200, headers, "application/json")

    def _booked(self, body: Row, content: Row, to: str) -> AcceptedMessage:
        sandbox = self._sandbox
        self.count += 1
        tags = {tag["Name"]: tag["Value"] for tag in body.get("EmailTags", [])}
        headers: dict[str, str] = {}
        if "Raw" in content:
            mail = message_from_bytes(base64.b64decode(content["Raw"]["Data"]), policy=policy.default)
            part = mail.get_body(("plain", "html"))
            subject, text = str(mail["Subject"]), part.get_content() if part else ""
            headers = {name: str(value) for name, value in mail.items()}
        else:
            simple = content["Simple"]
            subject = simple["Subject"]["Data"]
            text = simple["Body"].get("Text", simple["Body"].get("Html", {})).get("Data", "")
            headers = {entry["Name"]: entry["Value"] for entry in simple.get("Headers", [])}
        message = AcceptedMessage(
            provider="ses", channel="email", to=to, from_=body.get("FromEmailAddress", headers.get("From", "")),
            subject=subject, body=text, our_id=tags.get("leadpipe_mid"), plan=tags.get("leadpipe_plan"),
            step=tags.get("leadpipe_step"),
            occurrence=int(tags["leadpipe_occ"]) if tags.get("leadpipe_occ", "").isdigit() else None,
            provider_id=f"0100{self.count:08x}-{uuid.UUID(int=sandbox.random.getrandbits(128))}-000000",
            accepted_at=sandbox.now(), accepted_wall_at=sandbox.wall(), headers=headers,
            reply_to=(body.get("ReplyToAddresses") or [headers.get("Reply-To", "")])[0],
        )  # fmt: skip
        sandbox.accept(message)
        return message

    def _play(self, message: AcceptedMessage, body: Row) -> None:
        address = message.to.lower()
        later = self._sandbox.scheduler.after
        later(0.2, lambda: self.event(message, "Send", {"send": {}}, body))
        if address in self.suppressed:
            later(0.6, lambda: self.bounce(message, "OnAccountSuppressionList"))
        elif address in self.dead_addresses or address.startswith("bounce@simulator"):
            later(0.8, lambda: self.bounce(message, "General"))
        else:
            details = {"timestamp": iso(self._sandbox.now()), "processingTimeMillis": 877, "recipients": [message.to],
                       "smtpResponse": "250 2.0.0 OK", "reportingMTA": "a1-2.smtp-out.amazonses.com"}  # fmt: skip
            later(0.7, lambda: self.event(message, "Delivery", {"delivery": details}))
            if address.startswith("complaint@simulator"):
                later(1.2, lambda: self.complain(message))

    async def bounce(self, message: AcceptedMessage, subtype: str) -> None:
        """A hard bounce, which also puts the address on the account's suppression list."""
        self.suppressed.setdefault(message.to.lower(), "BOUNCE")
        recipient = {"emailAddress": message.to, "action": "failed", "status": "5.1.1",
                     "diagnosticCode": "smtp; 550 5.1.1 user unknown"}  # fmt: skip
        details = {"bounceType": "Permanent", "bounceSubType": subtype, "bouncedRecipients": [recipient],
                   "timestamp": iso(self._sandbox.now()), "feedbackId": str(uuid.uuid4())}  # fmt: skip
        await self.event(message, "Bounce", {"bounce": details})

    async def complain(self, message: AcceptedMessage) -> None:
        """The lead pressed "this is spam"."""
        self.suppressed[message.to.lower()] = "COMPLAINT"
        details = {"complainedRecipients": [{"emailAddress": message.to}], "timestamp": iso(self._sandbox.now()),
                   "feedbackId": str(uuid.uuid4()), "complaintSubType": None,
                   "complaintFeedbackType": "abuse"}  # fmt: skip
        await self.event(message, "Complaint", {"complaint": details})

    async def event(self, message: AcceptedMessage, kind: str, details: Row, body: Row | None = None) -> None:
        """Publish one sending event to the subscribed endpoint."""
        del body
        tags = {"ses:configuration-set": ["leadpipe"]}
        ours = {"leadpipe_mid": message.our_id, "leadpipe_plan": message.plan, "leadpipe_step": message.step}
        tags |= {name: [value] for name, value in ours.items() if value}
        mail = {
            "timestamp": iso(message.accepted_at), "source": message.from_, "messageId": message.provider_id,
            "destination": [message.to], "headersTruncated": False, "headers": [], "tags": tags,
            "commonHeaders": {"subject": message.subject, "to": [message.to], "messageId": message.provider_id},
        }  # fmt: skip
        faults = self._sandbox.faults
        if faults.strikes("ses_event_lost"):
            return
        await self.notify("/ses/events", {"eventType": kind, "mail": mail, **details})
        if faults.strikes("ses_event_repeated"):
            await self.notify("/ses/events", {"eventType": kind, "mail": mail, **details})

    async def inbound(
        self, sender: str, body: str, *, to: str, in_reply_to: AcceptedMessage | None, name: str = ""
    ) -> bool:
        """A lead answers by mail: SES receipt with the content inline. Returns whether our webhook took it."""
        now = self._sandbox.now()
        mail = EmailMessage()
        mail["From"] = f"{name} <{sender}>" if name else sender
        mail["To"] = to
        mail["Date"] = now
        mail["Message-ID"] = f"<{uuid.uuid4()}@mail.example.net>"
        text = body
        if in_reply_to is not None:
            mail["Subject"] = f"Re: {in_reply_to.subject}"
            mail["In-Reply-To"] = f"<{in_reply_to.provider_id}@email.amazonses.com>"
            mail["References"] = mail["In-Reply-To"]
            quoted = "\n".join(f"> {line}" for line in in_reply_to.body.splitlines())
            written = in_reply_to.accepted_at.strftime("%a, %b %d, %Y at %I:%M %p")
            text = f"{body}\n\nOn {written} Demo Realty <hello@demo-realty.example> wrote:\n\n{quoted}\n"
        else:
            mail["Subject"] = "Question"
        mail.set_content(text)
        self.count += 1
        message_id = f"in{self.count:06d}{uuid.uuid4().hex[:20]}"
        verdict = {"status": "PASS"}
        notice = {
            "notificationType": "Received",
            "mail": {"timestamp": iso(now), "source": sender, "messageId": message_id, "destination": [to],
                     "headersTruncated": False, "headers": [{"name": k, "value": str(v)} for k, v in mail.items()],
                     "commonHeaders": {"returnPath": sender, "from": [str(mail["From"])], "to": [to],
                                       "messageId": str(mail["Message-ID"]), "subject": str(mail["Subject"])}},
            "receipt": {"timestamp": iso(now), "processingTimeMillis": 400, "recipients": [to], "spamVerdict": verdict,
                        "virusVerdict": verdict, "spfVerdict": verdict, "dkimVerdict": verdict,
                        "dmarcVerdict": verdict, "action": {
                            "type": "SNS", "topicArn": self._sandbox.config.ses_topic_arn, "encoding": "BASE64"}},
            "content": base64.b64encode(bytes(mail)).decode(),
        }  # fmt: skip
        if self._sandbox.faults.strikes("ses_inbound_lost"):
            return False
        return await self.notify("/ses/inbound", notice)

    async def account(self) -> Response:
        """GetAccount."""
        body = {"SendQuota": {"Max24HourSend": 500000.0, "MaxSendRate": 200.0, "SentLast24Hours": float(self.count)},
                "ProductionAccessEnabled": True, "SendingEnabled": True, "EnforcementStatus": "HEALTHY",
                "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
                "DedicatedIpAutoWarmupEnabled": False, "Details": {}, "VdmAttributes": {}}  # fmt: skip
        return Response(orjson.dumps(body), media_type="application/json")

    async def identity(self, name: str) -> Response:
        """GetEmailIdentity: every identity is verified, with DKIM."""
        del name
        body = {"IdentityType": "DOMAIN", "VerifiedForSendingStatus": True, "VerificationStatus": "SUCCESS",
                "DkimAttributes": {"SigningEnabled": True, "Status": "SUCCESS"}}  # fmt: skip
        return Response(orjson.dumps(body), media_type="application/json")

    async def configuration_set(self, name: str) -> Response:
        """GetConfigurationSet."""
        if name != "leadpipe":
            return _ses_error(404, "NotFoundException", f"Configuration set <{name}> does not exist.")
        return Response(orjson.dumps({"ConfigurationSetName": name}), media_type="application/json")

    async def put_suppressed(self, request: Request) -> Response:
        """PutSuppressedDestination."""
        body = await request.json()
        self.suppressed[body["EmailAddress"].lower()] = body["Reason"]
        return Response(b"{}", media_type="application/json")

    async def list_suppressed(self) -> Response:
        """ListSuppressedDestinations."""
        now = self._sandbox.now().timestamp()
        rows = [{"EmailAddress": a, "Reason": r, "LastUpdateTime": now} for a, r in self.suppressed.items()]
        return Response(orjson.dumps({"SuppressedDestinationSummaries": rows}), media_type="application/json")

    async def suppressed_address(self, request: Request, address: str) -> Response:
        """Get or delete one suppressed destination."""
        if address.lower() not in self.suppressed:
            return _ses_error(
                404, "NotFoundException", f"Email address {address} does not exist on your suppression list."
            )
        if request.method == "DELETE":
            del self.suppressed[address.lower()]
            return Response(b"{}", media_type="application/json")
        row = {"EmailAddress": address, "Reason": self.suppressed[address.lower()],
               "LastUpdateTime": self._sandbox.now().timestamp()}  # fmt: skip
        return Response(orjson.dumps({"SuppressedDestination": row}), media_type="application/json")

    # SNS

    async def certificate(self) -> Response:
        """The signing certificate."""
        return Response(self._certificate, media_type="application/x-pem-file")

    def envelope(self, kind: str, message: str, extra: Row | None = None) -> Row:
        """A signed SNS envelope, SignatureVersion 2 (sheet 4.6)."""
        body: Row = {
            "Type": kind, "MessageId": str(uuid.uuid4()), "TopicArn": self._sandbox.config.ses_topic_arn,
            "Message": message, "Timestamp": iso(self._sandbox.now()), "SignatureVersion": "2", **(extra or {}),
        }  # fmt: skip
        names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        text = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
        signed = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        base = self._sandbox.config.base_url
        body |= {"Signature": base64.b64encode(signed).decode(), "SigningCertURL": f"{base}/sns/cert.pem"}
        if kind == "Notification":
            body["UnsubscribeURL"] = f"{base}/sns/?Action=Unsubscribe"
        return body

    async def notify(self, path: str, message: Row) -> bool:
        """Post one notification to the gateway, tried three times as SNS does; whether it was taken."""
        envelope = self.envelope("Notification", json.dumps(message))
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification",
                   "x-amz-sns-message-id": envelope["MessageId"], "x-amz-sns-topic-arn": envelope["TopicArn"],
                   "User-Agent": "Amazon Simple Notification Service Agent"}  # fmt: skip
        data = json.dumps(envelope)
        for pause in (0, 2, 4, 8, 16):
            await asyncio.sleep(pause)
            try:
                answer = await self._sandbox.http.post(
                    self._sandbox.config.gateway_url + path, content=data, headers=headers
                )
            except Exception:  # noqa: BLE001, S112 - SNS tries again whatever broke
                continue
            if answer.status_code < 500:
                return answer.status_code < 300
        return False

    async def sns(self, request: Request) -> Response:
        """The query protocol: Publish to a number, opt-out calls, Subscribe and ConfirmSubscription."""
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True)) or dict(request.query_params)
        action = form.get("Action", "")
        if action == "Publish":
            return self._publish(form)
        if action == "CheckIfPhoneNumberIsOptedOut":
            is_out = str(form.get("phoneNumber") in self.opted_out).lower()
            return _xml(action, f"<isOptedOut>{is_out}</isOptedOut>")
        if action == "ListPhoneNumbersOptedOut":
            members = "".join(f"<member>{number}</member>" for number in sorted(self.opted_out))
            return _xml(action, f"<phoneNumbers>{members}</phoneNumbers>")
        if action == "OptInPhoneNumber":
            self.opted_out.discard(form.get("phoneNumber", ""))
            return _xml(action, "")
        if action == "Subscribe":
            token = uuid.uuid4().hex
            self.endpoints[token] = {"endpoint": form["Endpoint"], "is_confirmed": False}
            self._sandbox.scheduler.after(0.1, lambda: self._confirmation(token))
            return _xml(action, "<SubscriptionArn>pending confirmation</SubscriptionArn>")
        if action == "ConfirmSubscription":
            entry = self.endpoints.get(form.get("Token", ""))
            if entry is None:
                return _xml_error(400, "InvalidParameter", "Invalid token")
            entry["is_confirmed"] = True
            return _xml(
                action, f"<SubscriptionArn>{self._sandbox.config.ses_topic_arn}:{form['Token'][:8]}</SubscriptionArn>"
            )
        return _xml_error(400, "InvalidAction", f"The action {action} is not valid for this endpoint.")

    async def _confirmation(self, token: str) -> None:
        base = self._sandbox.config.base_url
        url = f"{base}/sns/?Action=ConfirmSubscription&TopicArn={self._sandbox.config.ses_topic_arn}&Token={token}"
        envelope = self.envelope(
            "SubscriptionConfirmation", "You have chosen to subscribe.", {"Token": token, "SubscribeURL": url}
        )
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "SubscriptionConfirmation"}
        await self._sandbox.http.post(self.endpoints[token]["endpoint"], content=json.dumps(envelope), headers=headers)

    def _publish(self, form: dict[str, str]) -> Response:
        number = form.get("PhoneNumber", "")
        if not (number.startswith("+") and number[1:].isdigit()):
            return _xml_error(400, "InvalidParameter", "Invalid parameter: PhoneNumber")
        sandbox = self._sandbox
        message_id = str(uuid.uuid4())
        if number not in self.opted_out:
            sandbox.accept(
                AcceptedMessage(
                    provider="sns", channel="sms", to=number, from_="sns", body=form.get("Message", ""),
                    provider_id=message_id, accepted_at=sandbox.now(), accepted_wall_at=sandbox.wall(),
                )
            )  # fmt: skip
        return _xml("Publish", f"<MessageId>{message_id}</MessageId>")


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.sandbox")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _ses_error(status: int, kind: str, message: str) -> Response:
    return Response(orjson.dumps({"message": message}), status, {"x-amzn-ErrorType": kind}, "application/json")


def _xml(action: str, result: str) -> Response:
    body = (
        f'<{action}Response xmlns="{XMLNS}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(body, media_type="text/xml")


def _xml_error(status: int, code: str, message: str) -> Response:
    body = (
        f'<ErrorResponse xmlns="{XMLNS}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Response(body, status, media_type="text/xml")
