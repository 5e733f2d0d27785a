"""Twilio over HTTP: Messages, Content templates, status callbacks and inbound messages.

What lives here: the wire and the rules of the messaging sheet's sections 1 to 3. What does not: who answers
(``population``).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import orjson
from fastapi import APIRouter, Request, Response

from leadpipe.sandbox.state import AcceptedMessage, iso

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
STOP_WORDS = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START_WORDS = {"start", "yes", "unstop"}
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_TO = {
    "+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614,
}  # fmt: skip
WORDS = {
    20003: "Authenticate", 20404: "The requested resource was not found", 20429: "Too Many Requests",
    21211: "Invalid 'To' Phone Number", 21212: "Invalid 'From' Phone Number", 21408: "Permission not enabled",
    21602: "Message body is required", 21606: "The 'From' number is not valid",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages", 21612: "No route",
    21614: "'To' number is not a valid mobile number", 21617: "The message body exceeds the 1600 character limit",
}  # fmt: skip
# US area codes are +1 without Canada's and the Caribbean's; the fake needs only the difference for 63049.
CANADA = frozenset("204 226 236 249 250 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 "
                   "506 514 519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 "
                   "867 873 879 902 905".split())  # fmt: skip


def signature(url: str, fields: dict[str, str], token: str) -> str:
    """``X-Twilio-Signature`` of a form POST (sheet 2.4)."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class TwilioApi:
    """The fake account: its messages, blocks, sessions and templates."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.messages: dict[str, Row] = {}
        self.blocked: set[str] = set()
        self.last_whatsapp_at: dict[str, datetime] = {}
        self.count = 0
        self.dead_numbers: set[str] = set()
        sid = sandbox.config.whatsapp_template_sid
        body = "Hi {{1}}, this is the automated assistant of {{2}}. {{3}} Reply STOP to opt out."
        self.templates: dict[str, Row] = {
            sid: {"sid": sid, "account_sid": sandbox.config.twilio_account_sid, "friendly_name": "lead_followup_v1",
                  "language": "en", "variables": {"1": "Ana"}, "types": {"twilio/text": {"body": body}},
                  "approval": "approved", "category": "MARKETING"}
        }  # fmt: skip

    def router(self) -> APIRouter:
        """Everything under ``/twilio``."""
        router = APIRouter(prefix="/twilio")
        base = "/2010-04-01/Accounts/{account}/Messages"
        router.add_api_route(base + ".json", self.create, methods=["POST"])
        router.add_api_route(base + ".json", self.list_messages, methods=["GET"])
        router.add_api_route(base + "/{sid}.json", self.one, methods=["GET", "POST", "DELETE"])
        router.add_api_route("/v1/Content", self.create_content, methods=["POST"])
        router.add_api_route("/v1/Content/{sid}", self.content, methods=["GET"])
        router.add_api_route("/v1/Content/{sid}/ApprovalRequests", self.approval, methods=["GET"])
        router.add_api_route("/v1/Content/{sid}/ApprovalRequests/whatsapp", self.approve, methods=["POST"])
        return router

    def _is_allowed(self, request: Request) -> bool:
        config = self._sandbox.config
        right = base64.b64encode(f"{config.twilio_account_sid}:{config.twilio_auth_token}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {right}"

    async def create(self, request: Request) -> Response:
        """Create a message: judged, booked, answered, then played through its life."""
        if not self._is_allowed(request):
            return _error(401, 20003)
        faults = self._sandbox.faults
        if faults.strikes("twilio_429"):
            return _error(429, 20429)
        form = {
            name: values[-1]
            for name, values in parse_qs((await request.body()).decode(), keep_blank_values=True).items()
        }
        code = self._refusal(form)
        if code:
            return _error(400, code)
        row, late_code = self._book(form)
        if faults.strikes("twilio_hang"):
            await asyncio.sleep(60)
        if faults.strikes("twilio_500_after"):
            return _error(500, 20500)
        if faults.strikes("twilio_drop_after"):
            return Response(b"", 201, media_type="application/json")
        self._play(row, form, late_code)
        return Response(orjson.dumps(_shown(row)), 201, media_type="application/json")

    def _refusal(self, form: dict[str, str]) -> int | None:
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        number = to.removeprefix("whatsapp:")
        if not re.fullmatch(r"\+\d{8,15}", number):
            return 21211
        if number in MAGIC_TO:
            return MAGIC_TO[number]
        if sender in MAGIC_FROM:
            return MAGIC_FROM[sender]
        if not sender and not form.get("MessagingServiceSid"):
            return 21606
        if not body and not form.get("ContentSid"):
            return 21602
        if len(body) > 1600:
            return 21617
        if not to.startswith("whatsapp:") and number in self.blocked:
            return 21610
        return None

    def _book(self, form: dict[str, str]) -> tuple[Row, int | None]:
        sandbox, config = self._sandbox, self._sandbox.config
        self.count += 1
        sid = "SM" + hashlib.md5(f"{config.seed}:{self.count}:{sandbox.wall()}".encode()).hexdigest()  # noqa: S324 - an id
        now = sandbox.now()
        is_service = bool(form.get("MessagingServiceSid")) and not form.get("From")
        body = form.get("Body") or self._rendered(form)
        row: Row = {
            "account_sid": config.twilio_account_sid, "api_version": "2010-04-01", "body": body,
            "date_created": format_datetime(now), "date_sent": None, "date_updated": format_datetime(now),
            "direction": "outbound-api", "error_code": None, "error_message": None,
            "from": None if is_service else form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"), "num_media": "0",
            "num_segments": "0" if is_service else str(1 + len(body) // 160), "price": None, "price_unit": "USD",
            "sid": sid, "status": "accepted" if is_service else "queued", "subresource_uris": {},
            "to": form["To"], "uri": f"/2010-04-01/Accounts/{config.twilio_account_sid}/Messages/{sid}.json",
            "_callback": form.get("StatusCallback", ""), "_at": now,
        }  # fmt: skip
        self.messages[sid] = row
        to = form["To"].removeprefix("whatsapp:")
        channel = "whatsapp" if form["To"].startswith("whatsapp:") else "sms"
        late_code = self._late_code(form, channel, to, now)
        if late_code is None or late_code == 30005:
            query = dict(parse_qsl(urlsplit(row["_callback"]).query))
            sandbox.accept(
                AcceptedMessage(
                    provider="twilio", channel=channel, to=to, from_=form.get("From") or config.sms_number, body=body,
                    provider_id=sid, our_id=query.get("mid"), plan=query.get("plan"), step=query.get("step"),
                    occurrence=int(query["occ"]) if query.get("occ", "").isdigit() else None, accepted_at=now,
                    accepted_wall_at=sandbox.wall(),
                )
            )  # fmt: skip
        return row, late_code

    def _late_code(self, form: dict[str, str], channel: str, to: str, now: datetime) -> int | None:
        if to in self.dead_numbers:
            return 30005
        if channel != "whatsapp":
            return None
        opened_at = self.last_whatsapp_at.get(to)
        is_open = opened_at is not None and now - opened_at < timedelta(hours=24)
        if not form.get("ContentSid"):
            return None if is_open else 63016
        template = self.templates.get(form["ContentSid"])
        if template is None or template["approval"] != "approved":
            return 63016
        is_us = to.startswith("+1") and to[2:5] not in CANADA
        return 63049 if is_us and template["category"] == "MARKETING" else None

    def _rendered(self, form: dict[str, str]) -> str:
        template = self.templates.get(form.get("ContentSid", ""))
        if template is None:
            return ""
        variables = json.loads(form.get("ContentVariables") or "{}")
        body = template["types"]["twilio/text"]["body"]
        return re.sub(r"\{\{(\d+)\}\}", lambda m: str(variables.get(m.group(1), "")), body)

    def _play(self, row: Row, form: dict[str, str], late_code: int | None) -> None:
        """Schedule the statuses after the first, which is never posted; faults lose, repeat and reorder them."""
        if late_code in {63016, 63049}:
            steps = [("failed", late_code)]
        elif late_code:
            steps = [("sent", None), ("undelivered", late_code)]
        else:
            steps = [("queued", None), ("sent", None), ("delivered", None)]
            if form["To"].startswith("whatsapp:"):
                steps.append(("read", None))
        faults = self._sandbox.faults
        for number, (status, code) in enumerate(steps):
            delay = 0.3 + 0.5 * number + self._sandbox.random.random() * 0.3
            if faults.strikes("twilio_callback_lost"):
                self._set(row, status, code)
                continue
            if faults.strikes("twilio_callback_reordered"):
                delay = 0.3 + 0.5 * (len(steps) - number)
            self._sandbox.scheduler.after(delay, lambda s=status, c=code: self._callback(row, s, c))
            if faults.strikes("twilio_callback_repeated"):
                self._sandbox.scheduler.after(delay + 1, lambda s=status, c=code: self._callback(row, s, c))

    def _set(self, row: Row, status: str, code: int | None) -> None:
        row["status"] = status
        row["error_code"] = code
        row["date_updated"] = format_datetime(self._sandbox.now())
        if status in {"sent", "delivered"} and row["date_sent"] is None:
            row["date_sent"] = row["date_updated"]
            row["price"] = "-0.00790"

    async def _callback(self, row: Row, status: str, code: int | None) -> None:
        self._set(row, status, code)
        if not row["_callback"]:
            return
        fields = {
            "AccountSid": row["account_sid"], "ApiVersion": "2010-04-01", "MessageSid": row["sid"],
            "SmsSid": row["sid"], "MessageStatus": status, "SmsStatus": status,
            "From": row["from"] or self._sandbox.config.sms_number, "To": row["to"],
        }  # fmt: skip
        if code:
            fields["ErrorCode"] = str(code)
        await self._post(row["_callback"].split("#")[0], fields)

    async def _post(self, url: str, fields: dict[str, str]) -> int:
        headers = {
            "X-Twilio-Signature": signature(url, fields, self._sandbox.config.twilio_auth_token),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = await self._sandbox.http.post(url, content=urlencode(fields), headers=headers)
        return answer.status_code

    async def inbound(self, sender: str, body: str, *, channel: str) -> bool:
        """A lead writes to us. Returns whether our webhook took it. Twilio itself acts on its keywords (sheet 2.5)."""
        config = self._sandbox.config
        word = "".join(filter(str.isalpha, body.lower()))
        if channel == "sms" and body.strip().lower() in STOP_WORDS and word in STOP_WORDS:
            self.blocked.add(sender)
        if channel == "sms" and body.strip().lower() in START_WORDS:
            self.blocked.discard(sender)
        prefix = "whatsapp:" if channel == "whatsapp" else ""
        if channel == "whatsapp":
            self.last_whatsapp_at[sender] = self._sandbox.now()
        self.count += 1
        sid = "SM" + hashlib.md5(f"in:{config.seed}:{self.count}:{self._sandbox.wall()}".encode()).hexdigest()  # noqa: S324 - an id
        to = config.whatsapp_number if channel == "whatsapp" else config.sms_number
        fields = {
            "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "AccountSid": config.twilio_account_sid,
            "From": prefix + sender, "To": to, "Body": body, "NumMedia": "0", "NumSegments": "1",
            "SmsStatus": "received", "ApiVersion": "2010-04-01", "FromCity": "", "FromState": "", "FromZip": "",
            "FromCountry": "US", "ToCity": "", "ToState": "", "ToZip": "", "ToCountry": "US",
        }  # fmt: skip
        if channel == "whatsapp":
            fields |= {"WaId": sender.lstrip("+"), "ProfileName": "Lead", "MessageType": "text"}
        now = self._sandbox.now()
        self.messages[sid] = {
            "sid": sid, "account_sid": config.twilio_account_sid, "api_version": "2010-04-01", "body": body,
            "direction": "inbound", "from": prefix + sender, "to": to, "status": "received", "error_code": None,
            "error_message": None, "date_created": format_datetime(now), "date_sent": format_datetime(now),
            "date_updated": format_datetime(now), "messaging_service_sid": None, "num_media": "0", "num_segments": "1",
            "price": None, "price_unit": None, "subresource_uris": {}, "uri": "", "_callback": "", "_at": now,
        }  # fmt: skip
        if self._sandbox.faults.strikes("twilio_inbound_lost"):
            return False
        status = await self._post(f"{config.gateway_url}/twilio/inbound", fields)
        return 200 <= status < 300

    async def one(self, request: Request, sid: str) -> Response:
        """Fetch, update (cancel or redact) or delete one message."""
        if not self._is_allowed(request):
            return _error(401, 20003)
        row = self.messages.get(sid)
        if row is None:
            return _error(404, 20404)
        if request.method == "DELETE":
            del self.messages[sid]
            return Response(status_code=204)
        if request.method == "POST":
            form = parse_qs((await request.body()).decode(), keep_blank_values=True)
            if form.get("Status") == ["canceled"] and row["status"] == "scheduled":
                row["status"] = "canceled"
            if "Body" in form:
                row["body"] = form["Body"][0]
        return Response(orjson.dumps(_shown(row)), media_type="application/json")

    async def list_messages(self, request: Request) -> Response:
        """Newest first, filtered by To and From; new rows may lag behind (fault ``twilio_list_lag_seconds``)."""
        if not self._is_allowed(request):
            return _error(401, 20003)
        query = request.query_params
        size = min(1000, int(query.get("PageSize", 50)))
        page = int(query.get("Page", 0))
        lag = timedelta(seconds=self._sandbox.faults.chances.get("twilio_list_lag_seconds", 0.0))
        rows = [row for row in reversed(self.messages.values()) if row["_at"] <= self._sandbox.now() - lag]
        for name, key in (("To", "to"), ("From", "from")):
            if query.get(name):
                rows = [row for row in rows if row[key] == query[name]]
        shown = rows[page * size : (page + 1) * size]
        base = f"/2010-04-01/Accounts/{self._sandbox.config.twilio_account_sid}/Messages.json"
        is_last = (page + 1) * size >= len(rows)
        kept = {name: query[name] for name in ("To", "From", "PageSize") if name in query}
        following = f"{base}?{urlencode(kept | {'Page': page + 1, 'PageToken': 'PASM' + '0' * 32})}"
        body = {
            "messages": [_shown(row) for row in shown], "end": page * size + len(shown) - 1, "first_page_uri": base,
            "next_page_uri": None if is_last else following, "page": page, "page_size": size,
            "previous_page_uri": None, "start": page * size, "uri": base,
        }  # fmt: skip
        return Response(orjson.dumps(body), media_type="application/json")

    # templates

    async def create_content(self, request: Request) -> Response:
        """A new template, unsubmitted."""
        body = await request.json()
        sid = "HX" + hashlib.md5(body["friendly_name"].encode()).hexdigest()  # noqa: S324 - an id
        self.templates[sid] = {"sid": sid, **body, "approval": "unsubmitted", "category": ""}
        return Response(orjson.dumps(self._content(sid)), 201, media_type="application/json")

    async def content(self, sid: str) -> Response:
        """One template."""
        if sid not in self.templates:
            return _error(404, 20404)
        return Response(orjson.dumps(self._content(sid)), media_type="application/json")

    def _content(self, sid: str) -> Row:
        row = self.templates[sid]
        now = iso(self._sandbox.now())
        return {key: value for key, value in row.items() if key not in {"approval", "category"}} | {
            "url": f"https://content.twilio.com/v1/Content/{sid}", "date_created": now, "date_updated": now,
            "links": {},
        }  # fmt: skip

    async def approve(self, request: Request, sid: str) -> Response:
        """Ask for approval: the fake approves at once."""
        body = await request.json()
        if sid not in self.templates:
            return _error(404, 20404)
        self.templates[sid] |= {"approval": "approved", "category": body["category"]}
        answer = {"name": body["name"], "category": body["category"], "content_type": "twilio/text",
                  "status": "received", "rejection_reason": "", "allow_category_change": True}  # fmt: skip
        return Response(orjson.dumps(answer), 201, media_type="application/json")

    async def approval(self, sid: str) -> Response:
        """A template's approval."""
        row = self.templates.get(sid)
        if row is None:
            return _error(404, 20404)
        state = {"type": "whatsapp", "name": row["friendly_name"], "category": row["category"],
                 "content_type": "twilio/text", "status": row["approval"], "rejection_reason": "",
                 "allow_category_change": True}  # fmt: skip
        return Response(
            orjson.dumps(
                {"sid": sid, "account_sid": self._sandbox.config.twilio_account_sid, "whatsapp": state, "url": ""}
            ),
            media_type="application/json",
        )


def _shown(row: Row) -> Row:
    return {key: value for key, value in row.items() if not key.startswith("_")}


def _error(status: int, code: int) -> Response:
    body = {"code": code, "message": WORDS.get(code, "Internal error"), "status": status,
            "more_info": f"https://www.twilio.com/docs/errors/{code}"}  # fmt: skip
    return Response(orjson.dumps(body), status, media_type="application/json")
