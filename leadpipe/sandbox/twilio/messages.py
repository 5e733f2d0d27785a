"""``Messages`` over HTTP: creating, fetching, listing.

What lives here: the Messages resource (messaging sheet 1). What does not: refusals (``judging``), callbacks (``life``).
"""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.cut import CutConnection
from leadpipe.sandbox.state import AcceptedMessage
from leadpipe.sandbox.twilio.book import Book, Message, new_sid
from leadpipe.sandbox.twilio.codes import error
from leadpipe.sandbox.twilio.judging import E164, Judge, read_time
from leadpipe.sandbox.twilio.life import Life
from leadpipe.sandbox.twilio.segments import count_segments

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox
    from leadpipe.sandbox.twilio.content import Templates

Row = dict[str, Any]
# What SmartEncoded makes of look-alikes, so that a text stays GSM-7; it changes the stored body.
SMART = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "..."}
)


class Messages:
    """The account's outbound side."""

    def __init__(self, sandbox: Sandbox, templates: Templates, judge: Judge) -> None:
        self._sandbox = sandbox
        self._templates = templates
        self._judge = judge
        self._life = Life(sandbox)
        self.book = Book(account_sid=sandbox.config.twilio_account_sid)

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
        code = self._judge.refusal(form)
        if code:
            self._note_refused(form, code)
            return error(400, code)
        message, late_code = self._enter(form, sum(name == "MediaUrl" for name, _ in pairs))
        # The answer shows the message as it is now; what happens to it afterwards is told by callback.
        answer = self._answer(message.row, 201)
        if form.get("SendAt"):
            self._life.play_at(message, (read_time(form["SendAt"]) - self._sandbox.now()).total_seconds())
        else:
            self._life.play(message, late_code)
        if faults.strikes("twilio_drop_after", to):
            raise CutConnection
        if faults.strikes("twilio_500_after", to):
            return error(500, 20500)
        if faults.strikes("twilio_empty_after", to):
            return Response(b"", 201, media_type="application/json")
        if faults.strikes("twilio_hang_after", to):
            await asyncio.sleep(faults.value("twilio_hang_after", 60.0))
        return answer

    def _note_refused(self, form: dict[str, str], code: int) -> None:
        """A refused create now also shows as a failed row (1.3)."""
        if E164.fullmatch(form.get("To", "").removeprefix("whatsapp:")):
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
        late_code = self._judge.late_code(form, channel, number, now)
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
