"""``Messages``: creating, fetching, listing, and what becomes of a message afterwards.

What lives here: messaging sheet 1 and 3. What does not: inbound messages (``inbound``), templates' API (``content``).
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.cut import CutConnection
from leadpipe.sandbox.state import AcceptedMessage
from leadpipe.sandbox.twilio.book import Book, Message, new_sid
from leadpipe.sandbox.twilio.codes import CANADA, MAGIC_FROM, MAGIC_TO, NEVER_LEFT, error
from leadpipe.sandbox.twilio.content import Templates
from leadpipe.sandbox.twilio.posting import post_form
from leadpipe.sandbox.twilio.segments import count_segments

if TYPE_CHECKING:
    from leadpipe.sandbox.outcomes import Outcomes
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
_E164 = re.compile(r"\+[1-9]\d{7,14}")
MAX_BODY = 1_600
# What SmartEncoded makes of look-alikes, so that a text stays GSM-7; it changes the stored body.
SMART = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "..."}
)
SESSION = timedelta(hours=24)


class Messages:
    """The account's outbound side.

    Attributes:
        blocked: numbers that sent STOP; Twilio tells nobody which.
        last_inbound_at: when somebody last wrote by WhatsApp; it opens 24 hours of free text.
        dead_numbers: numbers no carrier knows.
    """

    def __init__(self, sandbox: Sandbox, templates: Templates, outcomes: Outcomes) -> None:
        self._sandbox = sandbox
        self._templates = templates
        self._outcomes = outcomes
        self._dice = random.Random(sandbox.config.seed)
        self.book = Book(account_sid=sandbox.config.twilio_account_sid)
        self.blocked: set[str] = set()
        self.last_inbound_at: dict[str, datetime] = {}
        self.dead_numbers: set[str] = set()

    def routes(self) -> list[Route]:
        """``Messages`` of the 2010 API."""
        base = "/2010-04-01/Accounts/{account}/Messages"
        return [
            Route(base + ".json", self.create, methods=["POST"]),
            Route(base + ".json", self.list_all, methods=["GET"]),
            Route(base + "/{sid}/Media.json", self.media, methods=["GET"]),
            Route(base + "/{sid}/Feedback.json", self.feedback, methods=["POST"]),
            Route(base + "/{sid}.json", self.one, methods=["GET", "POST", "DELETE"]),
        ]

    def is_allowed(self, request: Request) -> bool:
        """Basic auth with the account's token or an API key."""
        config = self._sandbox.config
        pairs = (
            (config.twilio_account_sid, config.twilio_auth_token),
            (config.twilio_api_key, config.twilio_api_secret),
        )
        given = request.headers.get("Authorization", "")
        return any(given == "Basic " + base64.b64encode(f"{a}:{b}".encode()).decode() for a, b in pairs)

    # creating

    async def create(self, request: Request) -> Response:
        """Judge, book, answer, then play the message's life."""
        if not self.is_allowed(request):
            return error(401, 20003)
        faults = self._sandbox.faults
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True)
        form = dict(pairs)
        to = form.get("To", "")
        if faults.strikes("twilio_429", to):
            return error(429, 20429)
        if faults.strikes("twilio_500", to):
            return error(500, 20500)
        code = self._refusal(form)
        if code:
            self._note_refused(form, code)
            return error(400, code)
        message, late_code = self._enter(form, sum(name == "MediaUrl" for name, _ in pairs))
        if faults.strikes("twilio_drop_after", to):
            self._play(message, late_code)
            raise CutConnection
        if faults.strikes("twilio_500_after", to):
            self._play(message, late_code)
            return error(500, 20500)
        if faults.strikes("twilio_empty_after", to):
            self._play(message, late_code)
            return Response(b"", 201, media_type="application/json")
        answer = self._answer(message.row, 201)
        self._play(message, late_code)
        if faults.strikes("twilio_hang_after", to):
            await asyncio.sleep(faults.value("twilio_hang_after", 60.0))
        return answer

    def _refusal(self, form: dict[str, str]) -> int | None:  # noqa: PLR0911 - one line a rule
        config = self._sandbox.config
        to, sender, service = form.get("To", ""), form.get("From", ""), form.get("MessagingServiceSid", "")
        number = to.removeprefix("whatsapp:")
        if not to:
            return 21604
        if number in MAGIC_TO:
            return MAGIC_TO[number]
        if not _E164.fullmatch(number):
            return 21211
        if sender in MAGIC_FROM:
            return MAGIC_FROM[sender]
        if not sender and not service:
            return 21603
        if sender and sender not in {config.sms_number, config.whatsapp_number}:
            return 21606
        if sender and sender.startswith("whatsapp:") != to.startswith("whatsapp:"):
            return 21612
        if service and service != config.twilio_messaging_service_sid:
            return 21703
        return self._refused_content(form) or self._refused_number(to, number)

    def _refused_content(self, form: dict[str, str]) -> int | None:
        body = form.get("Body", "")
        if not body and not form.get("ContentSid") and not form.get("MediaUrl"):
            return 21602
        if len(body) > MAX_BODY:
            return 21617
        if form.get("ContentVariables"):
            try:
                json.loads(form["ContentVariables"])
            except ValueError:
                return 21656
        if "_" in (urlsplit(form.get("StatusCallback", "")).hostname or ""):
            return 21609
        validity = form.get("ValidityPeriod", "")
        if validity and not (validity.isdigit() and 1 <= int(validity) <= 36_000):
            return 90007
        return self._refused_schedule(form) if form.get("SendAt") else None

    def _refused_schedule(self, form: dict[str, str]) -> int | None:
        if not form.get("MessagingServiceSid") or form.get("ScheduleType") != "fixed":
            return 35117
        ahead = _read_time(form["SendAt"]) - self._sandbox.now()
        return None if timedelta(seconds=300) < ahead <= timedelta(days=35) else 35114

    def _refused_number(self, to: str, number: str) -> int | None:
        scripted = self._outcomes.at_create(number)
        if scripted is not None:
            return scripted
        is_blocked = number in self.blocked and not to.startswith("whatsapp:")
        return 21610 if is_blocked and not self._sandbox.faults.is_set("twilio_21610_late") else None

    def _note_refused(self, form: dict[str, str], code: int) -> None:
        """A refused create now also shows as a failed row (1.3)."""
        if _E164.fullmatch(form.get("To", "").removeprefix("whatsapp:")):
            row = self.book.row(
                at=self._sandbox.now(), body=form.get("Body", ""), to=form["To"], status="failed", error_code=code,
                **{"from": form.get("From")},
            )  # fmt: skip
            self.book.add(Message(row=row, at=self._sandbox.now()))

    def _enter(self, form: dict[str, str], count_media: int) -> tuple[Message, int | None]:
        sandbox, now = self._sandbox, self._sandbox.now()
        is_service = bool(form.get("MessagingServiceSid")) and not form.get("From")
        body = form.get("Body") or self._templates.rendered(form)
        if form.get("SmartEncoded") == "true":
            body = body.translate(SMART)
        is_scheduled = bool(form.get("SendAt"))
        row = self.book.row(
            at=now, body=body, to=form["To"], messaging_service_sid=form.get("MessagingServiceSid") or None,
            num_segments="0" if is_service else str(count_segments(body)),
            status="scheduled" if is_scheduled else "accepted" if is_service else "queued",
            num_media=str(count_media),
            **{"from": None if is_service else form.get("From")},
        )  # fmt: skip
        message = Message(row=row, at=now, callback=form.get("StatusCallback", ""))
        self.book.add(message)
        number = form["To"].removeprefix("whatsapp:")
        channel = "whatsapp" if form["To"].startswith("whatsapp:") else "sms"
        late_code = self._late_code(form, channel, number, now)
        query = dict(parse_qsl(urlsplit(message.callback).query))
        sandbox.accept(
            AcceptedMessage(
                provider="twilio", channel=channel, to=number, from_=form.get("From") or sandbox.config.sms_number,
                body=body, provider_id=row["sid"], our_id=query.get("mid"), plan=query.get("plan"),
                step=query.get("step"), occurrence=int(query["occ"]) if query.get("occ", "").isdigit() else None,
                accepted_at=now, accepted_wall_at=sandbox.wall(), is_delivered=late_code is None,
            )
        )  # fmt: skip
        return message, late_code

    def _late_code(self, form: dict[str, str], channel: str, number: str, now: datetime) -> int | None:
        """The code that a callback will bring, None for a message that arrives."""
        scripted = self._outcomes.later(number)
        if scripted is not None:
            return scripted
        if channel == "sms":
            if number in self.blocked:
                return 21610
            return 30005 if number in self.dead_numbers else None
        if number in self.dead_numbers:
            return 63003
        opened_at = self.last_inbound_at.get(number)
        if opened_at is not None and now - opened_at < SESSION:
            return None
        if not form.get("ContentSid"):
            return 63016
        template = self._templates.approved(form["ContentSid"])
        if template is None:
            return 63016
        is_us = number.startswith("+1") and number[2:5] not in CANADA
        return 63049 if is_us and template["category"] == "MARKETING" else None

    # afterwards

    def _play(self, message: Message, late_code: int | None) -> None:
        """Schedule the statuses after the first one, which is never posted."""
        if message.row["status"] == "scheduled":
            return
        if late_code in NEVER_LEFT:
            steps: list[tuple[str, int | None]] = [("failed", late_code)]
        elif late_code is not None:
            steps = [("queued", None), ("sent", None), ("undelivered", late_code)]
        else:
            steps = [("queued", None), ("sent", None), ("delivered", None)]
            if message.row["to"].startswith("whatsapp:"):
                steps.append(("read", None))
        scheduler, faults = self._sandbox.scheduler, self._sandbox.faults
        pace = self._sandbox.config.carrier_pace
        delays = [pace * (0.3 + 0.5 * number + 0.3 * self._dice.random()) for number in range(len(steps))]
        if faults.strikes("twilio_callback_reordered") or self._dice.random() < self._sandbox.config.twilio_disorder:
            delays.reverse()
        elif steps[-1][0] == "read":
            delays[-1] += 2.0 * pace
        last = dict(zip(steps, delays, strict=True))
        for (status, code), delay in last.items():
            if faults.strikes("twilio_callback_lost"):
                scheduler.after(delay, lambda s=status, c=code: self._set(message, s, c))
                continue
            if faults.strikes("twilio_callback_delayed"):
                delay += faults.value("twilio_callback_delayed", 20.0)  # noqa: PLW2901 - later by the fault
            scheduler.after(delay, lambda s=status, c=code: self._report(message, s, c))
            repeats = faults.strikes("twilio_callback_repeated")
            if repeats or self._dice.random() < self._sandbox.config.twilio_disorder:
                scheduler.after(delay + pace, lambda s=status, c=code: self._report(message, s, c))

    def _set(self, message: Message, status: str, code: int | None) -> None:
        """The row goes on; never back, whatever order the callbacks take."""
        row = message.row
        if _RANK[status] < _RANK[row["status"]]:
            return
        now = format_datetime(self._sandbox.now())
        row["status"], row["error_code"], row["date_updated"] = status, code, now
        if code is not None:
            row["error_message"] = None
        if status in {"sent", "delivered", "undelivered", "read"} and row["date_sent"] is None:
            config = self._sandbox.config
            row["date_sent"] = now
            row["from"] = row["from"] or config.sms_number
            segments = max(1, count_segments(row["body"]))
            row["num_segments"], row["price_unit"] = str(segments), "USD"
            row["price"] = f"-{0.0079 * segments:.5f}"

    async def _report(self, message: Message, status: str, code: int | None) -> None:
        self._set(message, status, code)
        if not message.callback:
            return
        row, config = message.row, self._sandbox.config
        is_whatsapp = row["to"].startswith("whatsapp:")
        sender = row["from"] or (config.whatsapp_number if is_whatsapp else config.sms_number)
        fields = {
            "AccountSid": row["account_sid"], "ApiVersion": "2010-04-01", "MessageSid": row["sid"],
            "SmsSid": row["sid"], "MessageStatus": status, "SmsStatus": status, "From": sender, "To": row["to"],
        }  # fmt: skip
        if row["messaging_service_sid"]:
            fields["MessagingServiceSid"] = row["messaging_service_sid"]
        if code:
            fields["ErrorCode"] = str(code)
        if not is_whatsapp and status in {"delivered", "undelivered"}:
            fields["RawDlrDoneDate"] = self._sandbox.now().strftime("%y%m%d%H%M")
        if is_whatsapp:
            fields |= {"ChannelInstallSid": "XE" + "0" * 32, "ChannelPrefix": "whatsapp"}
            if status == "read":
                fields["EventType"] = "READ"
            if code:
                fields["ChannelStatusMessage"] = f"Channel error {code}"
        await post_form(self._sandbox, message.callback, fields)

    # reading

    def _answer(self, row: Row, status: int = 200) -> Response:
        headers = {
            "Twilio-Request-Id": new_sid("RQ"),
            "Twilio-Concurrent-Requests": "1",
            "Twilio-Api-Version": "2010-04-01",
        }
        return Response(orjson.dumps(row), status, headers, "application/json")

    async def one(self, request: Request) -> Response:
        """Fetch, update (cancel a scheduled one, redact) or delete one message."""
        if not self.is_allowed(request):
            return error(401, 20003)
        message = self.book.by_sid.get(request.path_params["sid"])
        if message is None:
            return error(404, 20404)
        if request.method == "DELETE":
            self.book.remove(message.row["sid"])
            return Response(status_code=204)
        if request.method == "POST":
            form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
            if form.get("Status") == "canceled":
                if message.row["status"] != "scheduled":
                    return error(400, 30409)
                message.row["status"] = "canceled"
            if "Body" in form:
                message.row["body"] = form["Body"]
        if message.on_listed is not None:
            message.on_listed()
            message.on_listed = None
        return self._answer(message.row)

    async def list_all(self, request: Request) -> Response:
        """Newest first; a new message may lag behind (fault ``twilio_list_lag``)."""
        if not self.is_allowed(request):
            return error(401, 20003)
        faults = self._sandbox.faults
        seconds = faults.value("twilio_list_lag", 600.0) if faults.is_set("twilio_list_lag") else 0.0
        found = self.book.page(request.query_params, now=self._sandbox.now(), lag=timedelta(seconds=seconds))
        return Response(orjson.dumps(found), media_type="application/json")

    async def media(self, request: Request) -> Response:
        """No message here has media."""
        if not self.is_allowed(request):
            return error(401, 20003)
        return Response(orjson.dumps({"media_list": [], "page": 0}), media_type="application/json")

    async def feedback(self, request: Request) -> Response:
        """Outcome feedback, taken and forgotten."""
        if not self.is_allowed(request):
            return error(401, 20003)
        body = {"account_sid": self.book.account_sid, "message_sid": request.path_params["sid"], "outcome": "confirmed"}
        return Response(orjson.dumps(body), 201, media_type="application/json")


_RANK = {
    "scheduled": 0, "accepted": 0, "queued": 1, "sending": 2, "sent": 3, "delivered": 4, "undelivered": 4, "failed": 4,
    "canceled": 4, "read": 5,
}  # fmt: skip


def _read_time(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
