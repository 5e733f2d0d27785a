"""Unknown messages: looked up with patience at Twilio over HTTP, parked for a person, never sent again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import content_template, review
from leadpipe.messaging import reconcile as module
from leadpipe.messaging.callbacks import TwilioStatus, apply_twilio_status
from leadpipe.messaging.channels.base import SendResult
from leadpipe.messaging.reconcile import Reconciled, reconcile
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.work.alerts import deliver_alerts
from tests.messaging.conftest import SMS_BODY

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, Lead, MakeIntent, Put, Rows

Look = Callable[[], Reconciled]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Twilio:
    """Twilio's list of messages, newest first; ``status`` other than 200 fails every read."""

    url: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list[Any])
    status: int = 200
    reads: list[str] = field(default_factory=list[str])

    def add(self, lead: Lead, at: datetime, *, sid: str = "SM" + "b" * 32, **more: Any) -> str:
        row = {
            "sid": sid, "status": "delivered", "body": SMS_BODY, "to": lead.phone, "from": None,
            "direction": "outbound-api", "error_code": None, "error_message": None, "num_media": "0",
            "num_segments": "1", "price": None, "price_unit": None, "date_created": format_datetime(at),
            "date_sent": None, "date_updated": format_datetime(at), "uri": "/x", "account_sid": "AC",
            "api_version": "2010-04-01", "messaging_service_sid": None, "subresource_uris": {},
        } | more  # fmt: skip
        self.rows.insert(0, row)
        return sid


@pytest.fixture(scope="module")
def twilio_server() -> Generator[Twilio]:
    twilio = Twilio()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            twilio.reads.append(parts.path)
            to = parse_qs(parts.query).get("To", [""])[0]
            name = parts.path.rpartition("/")[2].removesuffix(".json")
            if name == "Messages":
                body: Any = {
                    "messages": [row for row in twilio.rows if row["to"] == to], "page": 0, "page_size": 50, "start": 0,
                    "end": 0, "uri": "/", "first_page_uri": "/", "next_page_uri": None, "previous_page_uri": None,
                }  # fmt: skip
            else:
                body = next(row for row in twilio.rows if row["sid"] == name)
            raw = json.dumps(body).encode()
            self.send_response(twilio.status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    twilio.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield twilio
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def twilio(twilio_server: Twilio) -> Twilio:
    """A Twilio that has no messages yet."""
    twilio_server.rows, twilio_server.reads, twilio_server.status = [], [], 200
    return twilio_server


@pytest.fixture
def look(ledger_engine: Engine, live_settings: Settings, clock: FixedClock, twilio: Twilio) -> Look:
    """One pass."""
    settings = live_settings.model_copy(update={"twilio_base_url": twilio.url, "twilio_auth_token": SecretStr("t")})
    return lambda: reconcile(engine=ledger_engine, settings=settings, clock=clock)


@pytest.fixture
def lose(
    put: Put, go: Go, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel]
) -> Callable[..., Lead]:
    """A function that sends one message whose call gives no answer."""

    def lose(person_id: int = 1, channel: str = "sms", **more: Any) -> Lead:
        lead = add_lead(person_id, pewc=True, **{key: more.pop(key) for key in ("phone", "place") if key in more})
        wanted = intent(lead, channel, **more)
        channels[channel].results[wanted.id] = SendResult.unknown("ReadTimeout")
        put(wanted, whatsapp_template_sid="HX1")
        assert go(whatsapp_template_sid="HX1").counts == {"unknown": 1}
        return lead

    return lose


def state(rows: Rows) -> list[tuple[str, str | None, str | None]]:
    return [(row.state, row.code, row.provider_id) for row in rows("messages")]


def test_a_message_that_twilio_lists_is_bound_to_it_and_takes_its_state(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead = lose()
    sid = twilio.add(lead, clock.now() + timedelta(seconds=1))
    clock.advance(MINUTE)
    assert look().count_looked_up == 0, "callbacks come first"
    clock.advance(MINUTE)
    assert look().count_found == 1
    assert state(rows) == [("delivered", None, sid)]
    assert [e.event for e in rows("message_events")][-2:] == ["looked_up", "reconcile"]
    clock.advance(HOUR)
    assert look().count_unsure == 0


def test_it_is_looked_up_after_2_15_and_60_minutes_then_hourly_and_parked_after_a_day(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock, go: Go
) -> None:
    lose()
    began = clock.now()
    looks: list[int] = []
    whole = (2, 15, *range(60, 27 * 60, 60))
    for minute in (m + around for m in whole for around in (-1, 0, 1)):
        clock.advance(began + minute * MINUTE - clock.now())
        if look().count_looked_up:
            looks.append(minute)
    assert looks == [2, 15, 60, *range(120, 25 * 60, 60)]
    assert state(rows) == [("parked", "no_trace", None)]
    [alert] = rows("alerts")
    assert alert.kind == "parked" and str(rows("messages")[0].id) in alert.body
    assert "+1512" not in alert.title + alert.body
    assert go().count_called == 0


def test_a_report_that_comes_after_parking_still_wins(
    lose: Callable[..., Lead], look: Look, rows: Rows, clock: FixedClock, ledger_engine: Engine
) -> None:
    lose()
    for _ in range(30):
        clock.advance(HOUR)
        look()
    [message] = rows("messages")
    assert message.state == "parked"
    with ledger_engine.begin() as connection:
        report = TwilioStatus(message_id=str(message.id), sid="SM" + "d" * 32, status="delivered")
        assert apply_twilio_status(connection, report, now=clock.now()).result == "moved"
    assert state(rows) == [("delivered", None, "SM" + "d" * 32)]


def test_what_a_person_was_asked_about_is_still_looked_for_and_taken_back_when_the_list_shows_it(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead, began = lose(), clock.now()
    for _ in range(25):
        clock.advance(HOUR)
        look()
    assert state(rows)[0][0] == "parked"
    assert look().count_looked_up == 0
    sid = twilio.add(lead, began)  # the list lagged by more than a day
    clock.advance(6 * HOUR)
    assert look().count_found == 1
    assert state(rows) == [("delivered", None, sid)]


def test_a_read_that_fails_after_the_last_hour_parks_nothing(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead, began = lose(), clock.now()
    clock.advance(23 * HOUR)
    look()
    twilio.status = 503
    for _ in range(4):
        clock.advance(HOUR)
        look()
    assert state(rows)[0][0] == "unknown"
    twilio.status = 200
    sid = twilio.add(lead, began)
    clock.advance(HOUR)
    look()
    assert state(rows) == [("delivered", None, sid)]


def test_the_longest_not_looked_at_are_looked_up_first(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for person_id in range(1, 6):
        lose(person_id)
    clock.advance(2 * MINUTE)
    looked = [look().count_looked_up for _ in range(4)]
    assert looked == [2, 2, 1, 0]
    assert len({path for path in twilio.reads}) == 1 and len(twilio.reads) == 5


NOT_OURS: dict[str, dict[str, Any]] = {
    "another body": {"body": "Other words"},
    "an answer of theirs": {"direction": "inbound"},
    "bound to another message": {"sid": "SM" + "c" * 32},
}


@pytest.mark.parametrize("why", [*NOT_OURS, "older than the attempt", "to another number"])
def test_a_row_that_is_not_ours_is_not_taken_for_it(
    lose: Callable[..., Lead],
    look: Look,
    twilio: Twilio,
    rows: Rows,
    clock: FixedClock,
    put: Put,
    go: Go,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
    why: str,
) -> None:
    lead = lose()
    other = add_lead(2, pewc=True)
    bound = intent(other, "sms")
    channels["sms"].results[bound.id] = SendResult.accepted("SM" + "c" * 32)
    put(bound)
    go()
    at = clock.now() - (timedelta(minutes=2) if why == "older than the attempt" else timedelta(0))
    twilio.add(other if why == "to another number" else lead, at, **NOT_OURS.get(why, {}))
    clock.advance(2 * MINUTE)
    found = look()
    assert (found.count_looked_up, found.count_found) == (1, 0)
    assert [row.state for row in rows("messages") if row.person_id == 1] == ["unknown"]


def test_a_create_that_twilio_refused_is_listed_as_failed_and_is_no_message(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead = lose()
    twilio.add(lead, clock.now(), status="failed", error_code=21612)
    clock.advance(2 * MINUTE)
    look()
    assert state(rows)[0][:2] == ("refused", "21612")


def test_of_a_failed_and_a_sent_row_the_sent_one_is_ours(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead = lose()
    sid = twilio.add(lead, clock.now(), status="sent")
    twilio.add(lead, clock.now(), status="failed", sid="SM" + "e" * 32)
    clock.advance(2 * MINUTE)
    look()
    assert state(rows) == [("sent", None, sid)]


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        (["{words}"], "delivered"),
        (["Other words of another system", "{words}"], "delivered"),
        (["Other words of another system"], "unknown"),
        ([""], "delivered"),
        (["Hi {{{{1}}}}, this is the {{{{2}}}}"], "delivered"),
        (["", ""], "unknown"),
    ],
    ids=["its words", "its words among others", "other words", "no words", "a template's places", "two without words"],
)
def test_a_whatsapp_template_is_known_by_its_words_and_a_row_without_words_by_nearness(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock, bodies: list[str],
    expected: str, ledger_engine: Engine,
) -> None:  # fmt: skip
    _opt_in(ledger_engine, clock)
    values = content_template.numbered(["Ana", "automated assistant", "Bo Lee", "Demo Realty", "Still looking?"])
    words = content_template.filled(content_template.THE_ONE, values)
    lead = lose(
        1,
        "whatsapp",
        phone="+447911123456",
        place={},
        purpose="inquiry_response",
        body=words,
        variables={"content_variables": values},
    )
    for number, body in enumerate(bodies):
        shown = body.format(words=words.replace(" ", "  "))
        twilio.add(lead, clock.now(), to=f"whatsapp:{lead.phone}", body=shown, sid=f"SM{number:032d}")
    clock.advance(2 * MINUTE)
    look()
    assert state(rows)[0][0] == expected


def _opt_in(engine: Engine, clock: FixedClock) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.consents (person_id, channel, level, seller, source, at, dedupe_key, recorded_at) "
                "values (1, 'whatsapp', 'express', 'ours', 'web_form', :now, 'w', :now)"
            ),
            {"now": clock.now()},
        )


def test_a_list_that_cannot_be_read_is_not_an_empty_list(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead = lose()
    twilio.add(lead, clock.now())
    twilio.status = 503
    for _ in range(30):
        clock.advance(HOUR)
        assert look().count_failures == 1
    assert state(rows)[0][0] == "unknown", "a day of failing reads parks nothing"
    twilio.status = 200
    clock.advance(2 * MINUTE)
    look()
    assert state(rows)[0][0] == "delivered"


def test_a_carriers_code_found_by_looking_counts_like_one_that_was_reported(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, rows: Rows, clock: FixedClock
) -> None:
    lead = lose()
    twilio.add(lead, clock.now(), status="undelivered", error_code=30005)
    clock.advance(2 * MINUTE)
    look()
    assert state(rows)[0][:2] == ("undelivered", "30005")
    assert {row.source for row in rows("suppressions")} == {"carrier_30005"}


def test_an_email_is_parked_after_an_hour_when_events_of_its_neighbours_came(
    lose: Callable[..., Lead], look: Look, rows: Rows, clock: FixedClock
) -> None:
    lose(1, "email")
    clock.advance(59 * MINUTE)
    assert look().count_parked == 0
    clock.advance(MINUTE)
    assert look().count_parked == 1
    assert state(rows)[0][:2] == ("parked", "no_trace")


def test_while_no_event_comes_for_anyone_an_email_waits_a_day(
    lose: Callable[..., Lead],
    look: Look,
    rows: Rows,
    clock: FixedClock,
    put: Put,
    go: Go,
    add_lead: AddLead,
    intent: MakeIntent,
) -> None:
    put(intent(add_lead(2)))
    go()
    lose(1, "email")
    clock.advance(23 * HOUR)
    assert look().count_parked == 0
    clock.advance(HOUR)
    assert look().count_parked == 1


def test_from_a_call_without_an_answer_to_the_alert_and_the_persons_decision(
    lose: Callable[..., Lead],
    look: Look,
    rows: Rows,
    channels: dict[str, FakeChannel],
    ledger_engine: Engine,
    clock: FixedClock,
    settings: Settings,
) -> None:
    channels["sms"].provider = "sns"
    lose()
    assert look().count_parked == 1
    told: list[tuple[str, str]] = []
    runtime = Runtime(settings.model_copy(update={"alert_urls": ("json://alerts.example",)}))
    runtime.__dict__["engine"], runtime.__dict__["clock"] = ledger_engine, clock
    deliver_alerts(runtime, notify=lambda _, title, body: bool(told.append((title, body)) or True))
    [(title, body)] = told
    [message] = rows("messages")
    assert "may or may not have gone out" in title
    assert f"{message.id}" in body and "leadpipe messages resolve ID --sent` or `--not-sent" in body
    assert review.resolve(ledger_engine, str(message.id), was_sent=True, by="ada", now=clock.now()).state == "accepted"
    assert look().count_unsure == 0
    assert [event.detail for event in rows("message_events")][-1] == {"by": "ada"}


def test_a_text_by_sns_is_parked_at_once_since_nobody_can_tell(
    lose: Callable[..., Lead], look: Look, rows: Rows, channels: dict[str, FakeChannel]
) -> None:
    channels["sms"].provider = "sns"
    lose()
    assert look().count_parked == 1
    assert state(rows)[0][:2] == ("parked", "no_trace")


def test_a_status_whose_report_was_lost_is_asked_for_after_an_hour(
    put: Put,
    go: Go,
    look: Look,
    rows: Rows,
    twilio: Twilio,
    clock: FixedClock,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
) -> None:
    lead = add_lead(1, pewc=True)
    wanted = intent(lead, "sms")
    sid = twilio.add(lead, clock.now())
    channels["sms"].results[wanted.id] = SendResult.accepted(sid)
    put(wanted)
    go()
    look()
    assert state(rows)[0][0] == "accepted"
    clock.advance(HOUR)
    assert look().count_swept == 1
    assert state(rows) == [("delivered", None, sid)]
    assert look().count_swept == 0


def test_two_passes_at_once_look_up_once(
    lose: Callable[..., Lead], look: Look, twilio: Twilio, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose()
    clock.advance(2 * MINUTE)
    real, second = module.lookup.twilio_rows, list[Reconciled]()

    def slow(*args: Any) -> Any:
        second.append(look())
        return real(*args)

    monkeypatch.setattr(module.lookup, "twilio_rows", slow)
    assert look().count_looked_up == 1
    assert [other.count_looked_up for other in second] == [0]


def test_a_review_that_nobody_released_in_its_time_expires(
    put: Put, look: Look, rows: Rows, clock: FixedClock, add_lead: AddLead, intent: MakeIntent
) -> None:
    put(
        intent(add_lead(1), needs_review=True, expires_at=clock.now() + HOUR),
        intent(add_lead(2), needs_review=True),
    )
    clock.advance(HOUR)
    assert look().count_expired == 1
    assert [(row.person_id, row.state, row.code) for row in rows("messages")] == [
        (1, "expired", "not_released"),
        (2, "review", "needs_review"),
    ]
