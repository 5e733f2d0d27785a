"""What a person decides about single messages, by function and by command."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from leadpipe.cli import main
from leadpipe.clock import FixedClock, set_offset
from leadpipe.errors import Rejected
from leadpipe.messaging import review
from leadpipe.messaging.cancel import cancel_for_people
from leadpipe.messaging.channels.base import SendResult
from leadpipe.messaging.protocol import State, cancel_waiting
from leadpipe.messaging.suppression import suppress
from leadpipe.settings import Settings
from tests.messaging.conftest import LICENCE

if TYPE_CHECKING:
    from click.testing import Result
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, MakeIntent, Put, Rows

Release = Callable[[str], review.Decided]
Command = Callable[..., "Result"]


@pytest.fixture
def release(ledger_engine: Engine, live_settings: Settings, clock: FixedClock) -> Release:
    """A function that releases one message now."""
    return lambda message_id: review.release(
        ledger_engine, message_id, by="Bo", now=clock.now(), settings=live_settings
    )


def test_a_release_is_judged_again_kept_and_signed(
    put: Put, release: Release, rows: Rows, add_lead: AddLead, intent: MakeIntent, go: Go
) -> None:
    wanted = intent(add_lead(1), needs_review=True, is_model_written=True)
    put(wanted)
    assert go().counts == {}, "nothing leaves while it waits for a person"
    assert release(wanted.id).state is State.QUEUED
    assert [verdict.moment for verdict in rows("verdicts")] == ["enqueue", "release"]
    event = rows("message_events")[-1]
    assert (event.event, event.from_state, event.to_state, event.detail) == (
        "release", "review", "queued", {"by": "Bo"},
    )  # fmt: skip
    assert go().counts == {"accepted": 1}


def test_a_release_does_not_overrule_a_refusal_nor_legal_hours_nor_time(
    put: Put,
    release: Release,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    refused, night, stale = add_lead(1), add_lead(2, pewc=True), add_lead(3)
    waiting = [
        intent(refused, needs_review=True),
        intent(night, "sms", needs_review=True),
        intent(stale, needs_review=True, expires_at=clock.now() + timedelta(hours=1)),
    ]
    put(*waiting)
    with ledger_engine.begin() as connection:
        # As a suppression that came from outside and cancelled nothing.
        connection.execute(
            text(
                "insert into ledger.suppressions (contact_point_id, channel, source, at, recorded_at) "
                "values (:point, 'email', 'one_click', :now, :now)"
            ),
            {"point": refused.email_id, "now": clock.now()},
        )
    clock.advance(timedelta(hours=14))
    found = [release(one.id) for one in waiting]
    assert [(str(one.state), one.code) for one in found] == [
        ("blocked", "unsubscribed"),
        ("held", "quiet_hours"),
        ("expired", "stale"),
    ]
    assert found[1].until is not None
    assert timedelta(0) <= found[1].until - clock.now() - timedelta(hours=9) < timedelta(minutes=10)


def test_a_text_to_someone_who_refused_and_asked_anew_goes_once_released_and_not_after_another_stop(
    put: Put,
    release: Release,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
    go: Go,
) -> None:
    leads = [add_lead(n, asked_at=clock.now()) for n in (1, 2)]
    before = clock.now() - timedelta(days=1)

    def refuse(point: int, at: Any) -> None:
        with ledger_engine.begin() as connection:
            suppress(
                connection,
                contact_point_id=point,
                channels=("sms", "whatsapp"),
                source="stop_keyword",
                at=at,
                now=clock.now(),
            )

    for lead in leads:
        refuse(lead.phone_id, before)
    answers = [intent(lead, "sms", purpose="inquiry_response") for lead in leads]
    put(*answers)
    assert {row.code for row in rows("messages")} == {"revoked_then_new_inquiry"}
    for answer in answers:
        assert release(answer.id).state is State.QUEUED
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.suppressions (contact_point_id, channel, source, at, recorded_at) "
                "values (:point, 'sms', 'stop_keyword', :at, :at)"
            ),
            {"point": leads[1].phone_id, "at": clock.now() + timedelta(seconds=1)},
        )
    clock.advance(timedelta(minutes=1))
    go()
    assert {row.person_id: row.state for row in rows("messages")} == {1: "accepted", 2: "blocked"}


def test_rejecting_and_resolving_make_their_move_and_no_other(
    put: Put,
    go: Go,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    drafted = intent(add_lead(1), needs_review=True)
    lost = [intent(add_lead(n)) for n in (2, 3)]
    put(drafted, *lost)
    channels["email"].results = {one.id: SendResult.unknown("ReadTimeout") for one in lost}
    go()
    now = clock.now()
    assert review.reject(ledger_engine, drafted.id, by="Bo", now=now, reason="tone").state is State.CANCELLED
    assert review.resolve(ledger_engine, lost[0].id, was_sent=True, by="Bo", now=now).state is State.ACCEPTED
    assert review.resolve(ledger_engine, lost[1].id, was_sent=False, by="Bo", now=now).state is State.REFUSED
    for act in (
        lambda: review.reject(ledger_engine, drafted.id, by="Bo", now=now),
        lambda: review.resolve(ledger_engine, lost[0].id, was_sent=False, by="Bo", now=now),
    ):
        with pytest.raises(Rejected, match="nothing was changed"):
            act()
    for message_id in ("nonsense", "00000000-0000-0000-0000-000000000001"):
        with pytest.raises(Rejected, match="leadpipe messages list"):
            review.reject(ledger_engine, message_id, by="Bo", now=now)
    assert go().count_called == 0, "what was resolved as not sent is not sent either"


def test_cancelling_reaches_what_waits_of_these_people_and_nothing_else(
    put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock
) -> None:
    leads = [add_lead(n) for n in (1, 2, 3)]
    put(*(intent(lead) for lead in leads), intent(leads[0], step="two", needs_review=True))
    go(only=[intent(leads[1]).id])
    with ledger_engine.begin() as connection:
        done = cancel_for_people(connection, (1, 2, 2), code="human_acted", at=clock.now())
        assert cancel_for_people(connection, (), code="human_acted", at=clock.now()) == []
        with pytest.raises(ValueError, match="needs a contact point, a person or an enrolment"):
            cancel_waiting(connection, code="x", at=clock.now(), channels=["sms"])
    assert sorted(one.person_id for one in done) == [1, 1]
    assert sorted((row.person_id, row.state, row.code) for row in rows("messages")) == [
        (1, "cancelled", "human_acted"),
        (1, "cancelled", "human_acted"),
        (2, "accepted", None),
        (3, "queued", None),
    ]


@pytest.fixture
def command(
    database_url: str,
    ledger_engine: Engine,
    server_home: Path,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Command:
    """A function that runs ``leadpipe`` with these words on this test's ledger and clock."""
    from datetime import UTC, datetime

    monkeypatch.setenv("LEADPIPE_DATABASE_URL", database_url)
    monkeypatch.setenv("LEADPIPE_HOME", str(server_home))
    monkeypatch.setenv("LEADPIPE_BROKERAGE_NAME", "Demo Realty")
    monkeypatch.setenv("LEADPIPE_POSTAL_ADDRESS", "1 Example Street, Austin, TX 78701")
    monkeypatch.setenv("LEADPIPE_LICENCE_LINKS", f"TX={LICENCE}")
    monkeypatch.setenv("LEADPIPE_LINK_DOMAINS", "demo-realty.example")
    monkeypatch.chdir(tmp_path)
    set_offset(ledger_engine, clock.now() - datetime.now(UTC))
    return lambda *words: CliRunner().invoke(main.app, list(words))


def test_the_command_lists_releases_rejects_and_resolves(
    put: Put,
    go: Go,
    command: Command,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
    rows: Rows,
) -> None:
    drafts = [intent(add_lead(n), needs_review=True) for n in (1, 2)]
    lost = intent(add_lead(3))
    put(*drafts, lost)
    channels["email"].results = {lost.id: SendResult.unknown("ReadTimeout")}
    go()
    listed = json.loads(command("messages", "list", "--json").stdout)
    assert {row["id"]: row["state"] for row in listed} == {
        drafts[0].id: "review",
        drafts[1].id: "review",
        lost.id: "unknown",
    }
    assert {row["segments"] for row in listed} == {0}
    shown = command("messages", "list", "--state", "review").stdout
    assert drafts[0].id in shown and lost.id not in shown and "@" not in shown
    assert command("messages", "release", drafts[0].id, "--by", "Bo").stdout.strip() == f"{drafts[0].id}: queued"
    assert command("messages", "reject", drafts[1].id).exit_code == 0
    resolved = command("messages", "resolve", lost.id, "--sent", "--json")
    assert json.loads(resolved.stdout)["state"] == "accepted"
    assert command("messages", "list").stdout.strip() == "no message waits for a person"
    assert {str(row.id): row.state for row in rows("messages")} == {
        drafts[0].id: "queued",
        drafts[1].id: "cancelled",
        lost.id: "accepted",
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("messages", "list", "--state", "lost"), "is no state; use one of queued"),
        (("messages", "release", "nonsense"), "leadpipe messages list"),
        (("messages", "resolve", "5b1c2a0e-3f70-4c55-9f0f-8f3f0d2f9f10"), "say --sent or --not-sent"),
        (("sending", "stop", "--channel", "fax"), "is no channel; use email, sms, whatsapp"),
        (
            ("sending", "stop", "--plan", "nosuchplan"),
            "nosuchplan is no plan, nothing was stopped; there are conversation",
        ),
    ],
    ids=["state", "id", "resolve", "channel", "plan"],
)
def test_wrong_use_says_what_to_do_and_exits_2(command: Command, words: tuple[str, ...], says: str) -> None:
    done = command(*words)
    assert (done.exit_code, says in done.stderr) == (2, True), done.output


def test_a_release_that_the_rules_refuse_exits_1(
    put: Put, command: Command, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock
) -> None:
    lead = add_lead(1)
    draft = intent(lead, needs_review=True)
    put(draft)
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.suppressions (contact_point_id, channel, source, at, recorded_at) "
                "values (:point, 'email', 'bounce', :now, :now)"
            ),
            {"point": lead.email_id, "now": clock.now()},
        )
    done = command("messages", "release", draft.id)
    assert (done.exit_code, done.stdout.strip()) == (1, f"{draft.id}: blocked (bounced)")


def test_a_plan_without_a_file_is_stopped_while_messages_of_it_may_still_leave(
    put: Put, command: Command, add_lead: AddLead, intent: MakeIntent
) -> None:
    assert command("sending", "stop", "--plan", "retired").exit_code == 2
    put(intent(add_lead(1), plan="retired"))
    assert command("sending", "stop", "--plan", "retired").stdout.startswith("stopped: plan retired")


def test_the_command_stops_shows_and_resumes_sending(
    put: Put, go: Go, command: Command, add_lead: AddLead, intent: MakeIntent, clock: FixedClock, rows: Rows
) -> None:
    put(intent(add_lead(1)))
    status = command("sending", "status", "--json")
    assert (status.exit_code, json.loads(status.stdout)["waiting"]) == (0, {"queued": 1})
    assert command("sending", "stop", "--plan", "nurture", "--reason", "words").exit_code == 0
    shown = command("sending", "status")
    assert (shown.exit_code, "stopped: plan nurture" in shown.stdout, "(words)" in shown.stdout) == (1, True, True)
    assert command("sending", "stop").stdout.startswith("all sending is stopped")
    assert go().stopped_by == "stopped"
    resumed = json.loads(command("sending", "resume", "--json").stdout)
    assert resumed == {"expired": 0, "waiting": 1}
    assert command("sending", "status").stdout.startswith("sending is on")
    assert go().counts == {"accepted": 1}


def test_the_command_stops_one_receiver_and_keeps_the_address_nowhere(
    put: Put, go: Go, command: Command, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine
) -> None:
    lead = add_lead(1, phone="+13125550147", email="anabel@demo.example")
    put(intent(lead), intent(add_lead(2)))
    stopped = command("sending", "stop", "--number", "(312) 555-0147", "--number", "Anabel@demo.example")
    assert stopped.stdout.startswith("stopped: number a***@demo.example, number ***0147 since"), stopped.output
    assert go().counts == {"accepted": 1}
    status = command("sending", "status", "--json")
    found = json.loads(status.stdout)
    assert (status.exit_code, found["numbers"]) == (1, ["a***@demo.example", "***0147"])
    assert found["contact_points"] == sorted([lead.email_id, lead.point("sms")])
    assert "stopped: number a***@demo.example, number ***0147" in command("sending", "status").stdout
    resumed = command("sending", "resume", "--number", "whatsapp:+13125550147", "--number", "anabel@demo.example")
    assert resumed.stdout.splitlines() == ["number ***0147 resumed", "number a***@demo.example resumed"]
    assert command("sending", "status").stdout.startswith("sending is on")
    assert go().counts == {"accepted": 1}
    again = command("sending", "resume", "--number", "+13125550147")
    assert (again.exit_code, "number ***0147 was not stopped" in again.stderr) == (2, True)
    with ledger_engine.connect() as connection:
        kept = connection.execute(
            text("select string_agg(a::text, ' ') || (select string_agg(c::text, ' ') from ledger.controls c) "
                 "from ledger.acts a")
        ).scalar_one()  # fmt: skip
    assert ("5550147" in kept, "nabel" in kept, f"{lead.email_id}" in kept) == (False, False, True)


@pytest.mark.parametrize("number", ["+13125550199", "nobody@demo.example", "a word"])
def test_a_number_nobody_has_stops_nothing_and_is_not_repeated(command: Command, number: str) -> None:
    done = command("sending", "stop", "--number", number)
    assert (done.exit_code, "nobody in the ledger has it" in done.stderr, number in done.output) == (2, True, False)
    assert command("sending", "status").stdout.startswith("sending is on")


def test_a_number_of_ours_stops_the_channel_that_sends_by_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADPIPE_SMS_NUMBER", "+15125550100")
    monkeypatch.setenv("LEADPIPE_WHATSAPP_NUMBER", "whatsapp:+15125550101")
    monkeypatch.setenv("LEADPIPE_EMAIL_FROM", "Demo Realty <hello@demo-realty.example>")
    for number, channel in (
        ("512 555 0100", "sms"),
        ("+15125550101", "whatsapp"),
        ("hello@demo-realty.example", "email"),
    ):
        assert command("sending", "stop", "--number", number).stdout.startswith(f"stopped: channel {channel} since")
        assert command("sending", "resume", "--number", number).exit_code == 0
    assert command("sending", "status").stdout.startswith("sending is on")


def test_resuming_one_channel_leaves_every_other_stop(command: Command) -> None:
    assert command("sending", "stop", "--channel", "sms", "--channel", "email", "--plan", "nurture").exit_code == 0
    done = command("sending", "resume", "--channel", "sms")
    assert done.stdout.startswith("channel sms resumed\nstill stopped: plan nurture, channel email since")
    again = command("sending", "resume", "--channel", "sms")
    assert (again.exit_code, "channel sms was not stopped" in again.stderr) == (2, True)
    assert command("sending", "resume", "--channel", "fax").exit_code == 2
    assert command("sending", "status").stdout.startswith("stopped: plan nurture, channel email")


def test_no_more_texts_are_left_than_messages_and_a_simulated_calendar_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, ledger_engine: Engine
) -> None:
    monkeypatch.setenv("LEADPIPE_CAP_PER_HOUR", "5")
    monkeypatch.setenv("LEADPIPE_CAP_PER_NUMBER_PER_DAY", "70")
    shown = command("sending", "status")
    assert "caps leave 5 messages now, at most 5 of them SMS" in shown.stdout
    assert "times are of a simulated calendar, now 20" in shown.stdout
    found = json.loads(command("sending", "status", "--json").stdout)
    assert (found["room"]["any"], found["room"]["sms"], found["is_simulated"]) == (5, 5, True)
    set_offset(ledger_engine, timedelta(0))
    assert "simulated" not in command("sending", "status").stdout


def test_a_send_worker_records_what_would_go_and_stops_when_told(
    put: Put, command: Command, add_lead: AddLead, intent: MakeIntent, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    put(intent(add_lead(1)))
    done = command("send-worker", "--exit-after", "1")
    assert done.exit_code == 0, done.output
    assert "send-worker: sending=off, no channel, 16 calls at once" in done.stdout
    assert "blocked 1" in done.stdout
    assert "nothing leaves" not in done.stderr
    assert [(row.state, row.code) for row in rows("messages")] == [("blocked", "sending_off")]


def test_a_send_worker_without_the_right_to_send_names_the_command_that_tells_more(
    command: Command, ledger_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with ledger_engine.begin() as connection:
        connection.execute(text("delete from ledger.controls where key = 'right_to_send'"))
    done = command("send-worker", "--exit-after", "1")
    assert done.stderr.count("nothing leaves from here (right_never_taken); `leadpipe sending status` says why") == 1
