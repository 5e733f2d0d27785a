"""The sandbox's providers call the gateway over real HTTP: both agree on paths, forms and signatures."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe import clock
from leadpipe.clock import FixedClock, set_offset
from leadpipe.crm import watermark, webhooks
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.gateway import catch_up
from leadpipe.gateway.app import create_app
from leadpipe.messaging import suppression
from leadpipe.messaging.channels.build import build_channels
from leadpipe.messaging.channels.twilio_api import build_client
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import enqueue
from leadpipe.outreach.first_touch import plan_new_leads
from leadpipe.outreach.golive import record_go_live
from leadpipe.runtime import Runtime
from leadpipe.sandbox.app import create_app as create_sandbox
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.environment import sandbox_environment
from leadpipe.sandbox.world import World
from leadpipe.settings import Sending, Settings
from tests.gateway.conftest import EMAIL, PHONE
from tests.gateway.serving import free_socket, served, url_of

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Meeting:
    """A sandbox and a gateway that reach each other."""

    def __init__(self, world: World, runtime: Runtime) -> None:
        self.world, self.runtime = world, runtime
        self.base = world.sandbox.config.base_url

    def control(self, name: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.base}/_control/{name}", json=body, timeout=10)
        assert answer.is_success, answer.text
        return answer.json()

    def rows(self, query: str) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(query)))

    def wait_for(self, query: str, seconds: float = 20) -> list[Any]:
        """The rows of the query, as soon as there are any."""
        deadline = time.monotonic() + seconds
        while not (found := self.rows(query)):
            assert time.monotonic() < deadline, f"nothing came: {query}; {self.rows('select * from ledger.inbox')}"
            time.sleep(0.05)
        return found


@pytest.fixture
def meeting(settings: Settings, ledger_engine: Engine) -> Generator[Meeting]:
    outside, inside = free_socket(), free_socket()
    config = SandboxConfig(base_url=url_of(outside), gateway_url=url_of(inside), pace=0.1)
    sandbox = create_sandbox(config)
    values = {name.removeprefix("LEADPIPE_").lower(): value for name, value in sandbox_environment(config).items()}
    kept = {name: getattr(settings, name) for name in ("home", "database_url", "lake_path")}
    world: World = sandbox.state.world
    set_offset(ledger_engine, timedelta(seconds=world.sandbox.offset_seconds))
    runtime = Runtime(Settings(**kept | values))
    now = world.sandbox.now()
    lead = {"id": 1, "created": now.isoformat(), "updated": now.isoformat(), "stage": "Lead"}
    lead |= {"emails": [{"value": EMAIL}], "phones": [{"value": PHONE}]}
    upsert_people(ledger_engine, [read_person(lead)], now=now)
    with served(sandbox, outside), served(create_app(runtime), inside):
        yield Meeting(world, runtime)
    runtime.close()


def test_webhooks_of_the_crm_arrive_signed_and_once(meeting: Meeting) -> None:
    webhooks.install(meeting.runtime.crm, meeting.runtime.settings)
    meeting.runtime.crm.post("events", {"source": "Website", "type": "Registration", "person": {"firstName": "Ana"}})
    meeting.wait_for("select 1 from ledger.inbox where kind = 'eventsCreated'")
    found = meeting.wait_for("select distinct source, state, count(*) over (partition by kind) from ledger.inbox")
    assert [tuple(row) for row in found] == [("fub", "new", 1)]


def test_a_reply_by_text_and_by_whatsapp_arrives(meeting: Meeting) -> None:
    for channel in ("sms", "whatsapp"):
        assert meeting.control("inbound", channel=channel, **{"from": PHONE}, body="Yes please")["taken"]
    found = meeting.rows("select channel, person_id, body from ledger.inbound_messages order by id")
    assert [tuple(row) for row in found] == [("sms", 1, "Yes please"), ("whatsapp", 1, "Yes please")]


def test_a_reply_by_mail_arrives_with_its_quote_cut(meeting: Meeting) -> None:
    assert meeting.control("inbound", channel="email", **{"from": EMAIL}, body="Can I see it on Saturday?")["taken"]
    found = meeting.rows("select channel, person_id, body from ledger.inbound_messages")
    assert [tuple(row) for row in found] == [("email", 1, "Can I see it on Saturday?")]


def test_a_sent_text_is_reported_until_it_is_delivered(meeting: Meeting) -> None:
    settings = meeting.runtime.settings
    build_client(settings).messages.create(
        to=PHONE,
        messaging_service_sid=settings.twilio_messaging_service_sid,
        body="Hello",
        status_callback=f"{settings.public_base_url}/twilio/status?mid=m-1&plan=p&step=s&occ=1#rc=3",
    )
    meeting.wait_for("select 1 from ledger.inbox where source = 'twilio_status' and kind = 'delivered'")
    found = meeting.rows("select distinct reason, headers ->> 'query' from ledger.inbox")
    assert [tuple(row) for row in found] == [("unmatched", "mid=m-1&plan=p&step=s&occ=1")]


def test_what_whatsapp_shows_outside_the_window_is_the_body_that_was_judged(meeting: Meeting) -> None:
    runtime, clock = meeting.runtime, FixedClock(meeting.world.sandbox.now())
    settings, at = runtime.settings.model_copy(update={"sending": Sending.LIVE}), clock.now().isoformat()
    abroad = {"id": 2, "created": at, "updated": at, "firstName": "Cora", "stage": "Lead", "assignedTo": "Marco Ruiz"}
    abroad |= {"phones": [{"value": "+447700900123"}], "customWhatsAppOptIn": at}
    upsert_people(runtime.engine, [read_person(abroad)], now=clock.now())
    with runtime.engine.begin() as connection:
        record_go_live(connection, clock.now() - timedelta(days=1))
    intents = plan_new_leads(
        runtime.engine, [2], listings_by_person={}, market_facts={}, settings=settings, clock=clock
    )
    enqueue(runtime.engine, intents, clock=clock, settings=settings, run_key="test-run")
    # Held until the hours of the place, it leaves in the morning after.
    clock.advance(timedelta(hours=20))
    budget = Budget(max_messages=10, max_seconds=60)
    drain(engine=runtime.engine, channels=build_channels(settings), settings=settings, clock=clock, budget=budget)
    [ours] = meeting.rows("select channel, state, code, body from ledger.messages where person_id = 2")
    truth = httpx.get(f"{meeting.base}/_truth/messages", timeout=10).json()
    assert [(row["channel"], row["body"]) for row in truth] == [("whatsapp", ours.body)], (ours.state, ours.code)
    assert ours.body.startswith("Hi Cora, this is the automated assistant for Marco Ruiz, Demo Realty,")


def ses_client(settings: Settings, service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )


def test_a_sent_mail_is_reported_by_events_that_sns_signed(meeting: Meeting) -> None:
    settings = meeting.runtime.settings
    ses_client(settings, "sesv2", settings.ses_endpoint_url).send_email(
        FromEmailAddress=settings.email_from,
        Destination={"ToAddresses": [EMAIL]},
        Content={"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello"}}}},
        ConfigurationSetName=settings.ses_configuration_set,
    )
    found = meeting.wait_for("select kind, state, reason from ledger.inbox where kind = 'Delivery'")
    assert [tuple(row) for row in found] == [("Delivery", "handled", "unmatched")]


def test_a_subscription_is_confirmed_by_itself(meeting: Meeting) -> None:
    settings = meeting.runtime.settings
    sns = ses_client(settings, "sns", settings.sns_endpoint_url)
    endpoint = f"{settings.public_base_url}/ses/events"
    sns.subscribe(TopicArn=settings.sns_topic_arns[0], Protocol="http", Endpoint=endpoint)
    deadline = time.monotonic() + 10
    while not all(each.is_confirmed for each in list(meeting.world.topics.subscriptions.values())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(meeting.world.topics.subscriptions) == 3


# what a lost webhook would have told, asked for


def recovered(meeting: Meeting, ask: Callable[[Runtime], int]) -> list[int]:
    return [ask(meeting.runtime), ask(meeting.runtime)]


def test_a_reply_whose_webhook_was_lost_is_found_in_twilio_s_list_once(meeting: Meeting) -> None:
    meeting.control("faults", twilio_inbound_lost=1.0)
    assert not meeting.control("inbound", channel="sms", **{"from": PHONE}, body="STOP")["taken"]
    assert meeting.rows("select 1 from ledger.inbound_messages") == []
    assert recovered(meeting, catch_up.twilio_inbound) == [1, 0]
    assert [tuple(row) for row in meeting.rows("select channel, body from ledger.inbound_messages")] == [
        ("sms", "STOP")
    ]
    assert {row[0] for row in meeting.rows("select channel from ledger.suppressions")} == {"sms", "whatsapp"}


def test_a_stop_found_late_is_as_old_as_the_lead_s_own_and_does_not_undo_a_start_that_followed(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "OFFSET_TTL_SECONDS", 0.0)
    sandbox = meeting.world.sandbox
    meeting.control("faults", twilio_inbound_lost=1.0)
    said_at = sandbox.now()
    meeting.control("inbound", channel="sms", **{"from": PHONE}, body="STOP")
    later = timedelta(seconds=sandbox.offset_seconds) + timedelta(minutes=50)
    set_offset(meeting.runtime.engine, later)
    assert catch_up.twilio_inbound(meeting.runtime) == 1
    for row in meeting.rows("select at, recorded_at from ledger.suppressions"):
        assert abs(row.at - said_at) < timedelta(seconds=2)
        assert row.recorded_at - row.at > timedelta(minutes=49)
    # Both of these were lost too: they are read in the order in which they were written.
    time.sleep(1.1)  # Twilio tells of whole seconds
    meeting.control("inbound", channel="sms", **{"from": PHONE}, body="START")
    time.sleep(1.1)
    meeting.control("inbound", channel="whatsapp", **{"from": PHONE}, body="STOP")
    assert catch_up.twilio_inbound(meeting.runtime) == 2
    with meeting.runtime.engine.connect() as connection:
        point = connection.execute(
            text("select id from ledger.contact_points where address = :a"), {"a": PHONE}
        ).scalar_one()
        assert point in suppression.active(connection, [point])


def test_once_a_day_the_list_is_read_back_further_and_never_only_in_part(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "OFFSET_TTL_SECONDS", 0.0)
    monkeypatch.setattr(catch_up, "PAGE_SIZE", 2)
    assert catch_up.twilio_inbound(meeting.runtime) == 0
    assert catch_up.twilio_inbound(meeting.runtime) == 0
    meeting.control("faults", twilio_inbound_lost=1.0)
    for number in range(5):
        meeting.control("inbound", channel="sms", **{"from": PHONE}, body=f"Hello {number}")
    # The list lagged by ten hours, more than any pass looks back; the day's own pass does.
    offset = timedelta(seconds=meeting.world.sandbox.offset_seconds)
    watermark.write(
        meeting.runtime.engine,
        "twilio_inbound",
        meeting.runtime.clock.now() + timedelta(hours=10),
        now=meeting.runtime.clock.now(),
    )
    set_offset(meeting.runtime.engine, offset + timedelta(hours=10))
    assert catch_up.twilio_inbound(meeting.runtime) == 0
    set_offset(meeting.runtime.engine, offset + timedelta(hours=25))
    assert catch_up.twilio_inbound(meeting.runtime) == 5


def test_a_reply_that_the_webhook_told_of_is_not_found_again(meeting: Meeting) -> None:
    meeting.control("inbound", channel="whatsapp", **{"from": PHONE}, body="Hi")
    assert recovered(meeting, catch_up.twilio_inbound) == [0, 0]


def test_a_refused_key_names_the_setting_and_an_outage_is_transient(meeting: Meeting) -> None:
    settings = meeting.runtime.settings
    refused = Runtime(settings.model_copy(update={"twilio_auth_token": SecretStr("wrong")}))
    away = Runtime(
        settings.model_copy(
            update={
                "twilio_base_url": "http://127.0.0.1:9/twilio",
                "ses_endpoint_url": "http://127.0.0.1:9/ses",
                "sns_endpoint_url": "http://127.0.0.1:9/sns",
                "sms_provider": "sns",
            }
        )
    )
    try:
        with pytest.raises(ConfigurationError, match="LEADPIPE_TWILIO_AUTH_TOKEN"):
            catch_up.twilio_inbound(refused)
        for ask in (catch_up.twilio_inbound, catch_up.ses_suppressions, catch_up.sns_optouts):
            with pytest.raises(TransientError):
                ask(away)
    finally:
        refused.close()
        away.close()
    denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListSuppressedDestinations")
    assert isinstance(catch_up.aws_failure(denied, "a list"), ConfigurationError)


def test_addresses_on_ses_s_list_and_numbers_on_sns_s_list_become_suppressions_once(meeting: Meeting) -> None:
    settings = meeting.runtime.settings
    ses = ses_client(settings, "sesv2", settings.ses_endpoint_url)
    ses.put_suppressed_destination(EmailAddress=EMAIL, Reason="COMPLAINT")
    ses.put_suppressed_destination(EmailAddress="stranger@example.org", Reason="BOUNCE")
    assert recovered(meeting, catch_up.ses_suppressions) == [2, 0]
    meeting.world.sns.opt_out(PHONE)
    assert catch_up.sns_optouts(meeting.runtime) == 0, "SNS carries no SMS here"
    by_sns = Runtime(settings.model_copy(update={"sms_provider": "sns"}))
    try:
        assert [catch_up.sns_optouts(by_sns), catch_up.sns_optouts(by_sns)] == [1, 0]
    finally:
        by_sns.close()
    found = meeting.rows(
        "select address, channel, source from ledger.suppressions join ledger.contact_points c "
        "on c.id = contact_point_id order by source, channel, address"
    )
    assert [tuple(row) for row in found] == [
        ("stranger@example.org", "email", "ses_bounce"),
        (EMAIL, "email", "ses_complaint"),
        (PHONE, "sms", "sns_opt_out"),
        (PHONE, "whatsapp", "sns_opt_out"),
    ]
