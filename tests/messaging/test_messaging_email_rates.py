"""Marketing email that rests because too much of it came back, and aged addresses that are warmed up."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from leadpipe.cli.main import app
from leadpipe.clock import FixedClock
from leadpipe.explain.wording import means
from leadpipe.messaging import email_pauses, switch, warm_up
from leadpipe.messaging.email_pauses import Rate
from leadpipe.messaging.reputation import Counted, judge, look, sending_domain
from leadpipe.policy.pack import Pack
from leadpipe.policy.pack_file import load_pack
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, Go, MakeIntent, Put, Rows

DOMAIN = "demo-realty.example"


@pytest.fixture
def pack(clock: FixedClock) -> Pack:
    return load_pack(clock.now().date())


@pytest.mark.parametrize(
    ("sent", "complaints", "bounces", "found"),
    [
        (3, 1, 0, ("", "")),  # one of three stops nothing
        (99, 99, 99, ("", "")),
        (1_000, 2, 0, ("", "")),  # 0.20 %, but two people are no rate
        (5_000, 4, 0, ("", "")),
        (3_000, 3, 0, ("alert", "complaints")),  # 0.10 %
        (1_501, 3, 0, ("alert", "complaints")),
        (1_500, 3, 0, ("stop", "complaints")),  # 0.20 %
        (1_001, 3, 0, ("stop", "complaints")),
        (1_000, 3, 0, ("hard", "complaints")),  # 0.30 %
        (100, 0, 4, ("", "")),
        (100, 0, 5, ("stop", "bounces")),  # 5 %
        (1_000, 0, 49, ("", "")),
        (1_000, 0, 50, ("stop", "bounces")),
        (3_000, 3, 150, ("stop", "bounces")),  # what pauses goes before what only warns
        (1_000, 3, 90, ("hard", "complaints")),
    ],
)
def test_a_rate_counts_once_enough_was_sent_and_enough_came_back(
    pack: Pack, sent: int, complaints: int, bounces: int, found: tuple[str, str]
) -> None:
    assert pack.email_rates is not None
    assert judge(Counted(sent, complaints, bounces), pack.email_rates) == found


def test_the_shipped_pack_holds_the_numbers_of_the_rules(pack: Pack) -> None:
    """C23: 0.10 % to aim at, 0.20 % to stop at, 0.30 % the providers' own; C25: 200 of 40,000 a day in week one."""
    assert pack.email_rates is not None
    limits = pack.email_rates
    assert (limits.days, limits.complaints_alert, limits.complaints_stop, limits.complaints_hard) == (
        7, 0.001, 0.002, 0.003,
    )  # fmt: skip
    assert limits.bounces_stop == 0.05
    assert pack.warm_up_per_day[0] == 200
    assert 7 * sum(pack.warm_up_per_day[:5]) > 40_000, "the list is through within five weeks"
    assert pack.revocation is not None
    assert (pack.revocation.alert_minutes, pack.revocation.legal_business_days) == (5, 10)


@pytest.fixture
def sent(ledger_engine: Engine, clock: FixedClock, add_lead: AddLead) -> Callable[..., None]:
    """A function that writes emails which SES took, so many of them with another end."""
    add_lead(900)

    def write(
        count: int, *, plan: str = "reactivation", complained: int = 0, bounced: int = 0, days: float = 1
    ) -> None:
        at = clock.now() - timedelta(days=days)
        values = {"count": count, "plan": plan, "complained": complained, "bounced": complained + bounced, "at": at}
        with ledger_engine.begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(
                text(
                    """
                    with made as (
                      insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel,
                        purpose, body, state, due_at, created_at, changed_at, accepted_at)
                      select gen_random_uuid(), 900, 1, :plan, gen_random_uuid()::text, 1, 'email', 'marketing', '',
                        case when n <= :complained then 'complained' when n <= :bounced then 'bounced'
                          else 'delivered' end, :at, :at, :at, :at
                      from generate_series(1, :count) n returning id)
                    insert into ledger.attempts (message_id, worker, provider, started_at, outcome)
                    select id, 'w', 'ses', :at, 'accepted' from made
                    """
                ),
                values,
            )

    return write


@pytest.fixture
def alerts(ledger_engine: Engine) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        with ledger_engine.connect() as connection:
            return list(connection.execute(text("select * from ledger.alerts where kind = 'email_rate' order by id")))

    return read


def _looked(engine: Engine, settings: Settings, clock: FixedClock) -> list[tuple[str, str, str]]:
    return [(rate.scope, rate.level, rate.why) for rate in look(engine, settings, now=clock.now())]


def test_marketing_email_of_a_plan_rests_until_a_person_resumes_it_and_answers_go_on(
    sent: Callable[..., None], alerts: Callable[[], list[Any]], add_lead: AddLead, intent: MakeIntent, put: Put, go: Go,
    rows: Rows, ledger_engine: Engine, live_settings: Settings, clock: FixedClock,
) -> None:  # fmt: skip
    sent(400, complained=3)
    sent(4_000, plan="nurture")
    assert _looked(ledger_engine, live_settings, clock) == [("plan:reactivation", "hard", "complaints")]
    assert _looked(ledger_engine, live_settings, clock) == [], "it is told once"
    [alert] = alerts()
    assert alert.title == "Marketing email of plan reactivation is paused: too many complaints"
    assert "3 of 400 emails of 7 days (0.75%)" in alert.body
    assert "leadpipe sending resume --plan reactivation" in alert.body

    ana, ben, eve = add_lead(1), add_lead(2), add_lead(3, asked_at=clock.now())
    resting = intent(ana)
    other = intent(ben, plan="nurture")
    answer = intent(eve, purpose="inquiry_response")
    put(resting, other, answer)
    report = go()
    assert report.counts == {"accepted": 2, "held": 1}
    states = {str(row.id): (row.state, row.code) for row in rows("messages") if row.person_id in {1, 2, 3}}
    assert states[resting.id] == ("held", "complaint_rate")
    assert "rests" in means("complaint_rate")
    with ledger_engine.connect() as connection:
        [rate] = switch.read(connection).email_pauses
    assert rate.words() == (
        "marketing email of plan reactivation is paused since 2026-03-03 16:00 UTC: 3 complaints of 400 emails (0.75%)"
    )

    clock.advance(timedelta(hours=13))
    assert go().counts == {"held": 1}, "it looks again and still rests"
    done = email_pauses.resume(ledger_engine, "plan:reactivation", now=clock.now(), stale_after=timedelta(hours=24))
    assert done == (0, 1)
    assert go().counts == {"accepted": 1}
    assert _looked(ledger_engine, live_settings, clock) == [], "what was sent before the resume counts no more"


def test_a_domain_rests_for_every_plan_and_what_came_too_late_expires_at_the_resume(
    sent: Callable[..., None], add_lead: AddLead, intent: MakeIntent, put: Put, go: Go, rows: Rows,
    ledger_engine: Engine, live_settings: Settings, clock: FixedClock,
) -> None:  # fmt: skip
    for plan in ("a", "b"):
        sent(60, plan=plan, bounced=4)
    assert _looked(ledger_engine, live_settings, clock) == [(f"domain:{DOMAIN}", "stop", "bounces")]
    late = intent(add_lead(1), plan="nurture")
    put(late)
    assert go().counts == {"held": 1}
    clock.advance(timedelta(hours=30))
    fresh = intent(add_lead(2), plan="nurture")
    put(fresh)
    assert go().counts == {"held": 2}
    assert email_pauses.resume(ledger_engine, f"domain:{DOMAIN}", now=clock.now(), stale_after=timedelta(hours=24)) == (
        1,
        1,
    )
    assert go().counts == {"accepted": 1}
    states = {str(row.id): (row.state, row.code) for row in rows("messages") if row.person_id in {1, 2}}
    assert states[late.id] == ("expired", "stale")
    assert email_pauses.resume(
        ledger_engine, f"domain:{DOMAIN}", now=clock.now(), stale_after=timedelta(hours=24)
    ) is None  # fmt: skip


def test_a_warning_becomes_a_pause_when_it_gets_worse_and_is_forgotten_when_it_gets_better(
    sent: Callable[..., None], alerts: Callable[[], list[Any]], ledger_engine: Engine, live_settings: Settings,
    clock: FixedClock,
) -> None:  # fmt: skip
    both = ["plan:reactivation", f"domain:{DOMAIN}"]
    sent(3_000, complained=3, days=6)
    assert [scope for scope, level, _ in _looked(ledger_engine, live_settings, clock) if level == "alert"] == both
    clock.advance(timedelta(days=2))
    assert _looked(ledger_engine, live_settings, clock) == []
    with ledger_engine.connect() as connection:
        assert email_pauses.read(connection) == {}, "the week is over"
    sent(1_600, complained=3)
    assert len(_looked(ledger_engine, live_settings, clock)) == 2
    sent(100, complained=2)
    assert {level for _, level, _ in _looked(ledger_engine, live_settings, clock)} == {"stop"}
    sent(100, complained=2)
    assert {level for _, level, _ in _looked(ledger_engine, live_settings, clock)} == {"hard"}
    assert len({alert.dedupe_key for alert in alerts()}) == 8


def test_where_pauses_are_off_people_are_told_and_nothing_rests(
    sent: Callable[..., None], alerts: Callable[[], list[Any]], ledger_engine: Engine, live_settings: Settings,
    clock: FixedClock,
) -> None:  # fmt: skip
    sent(1_000, bounced=60)
    off = live_settings.model_copy(update={"email_pauses": False})
    assert {level for _, level, _ in _looked(ledger_engine, off, clock)} == {"alert"}
    with ledger_engine.connect() as connection:
        assert switch.read(connection).email_pauses == ()
    assert "bounces near or over the limit" in alerts()[0].title
    assert {level for _, level, _ in _looked(ledger_engine, live_settings, clock)} == {"stop"}


def test_a_pause_stays_while_the_rate_falls(
    sent: Callable[..., None], ledger_engine: Engine, live_settings: Settings, clock: FixedClock
) -> None:
    sent(1_000, complained=3)
    look(ledger_engine, live_settings, now=clock.now())
    clock.advance(timedelta(days=10))
    look(ledger_engine, live_settings, now=clock.now())
    with ledger_engine.connect() as connection:
        assert {rate.level for rate in email_pauses.read(connection).values()} == {"hard"}


def test_texts_are_not_counted_and_a_sender_without_an_address_has_no_domain(
    sent: Callable[..., None], ledger_engine: Engine, live_settings: Settings, clock: FixedClock
) -> None:
    sent(1_000, complained=3)
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.messages set channel = 'sms'"))
    assert _looked(ledger_engine, live_settings, clock) == []
    assert sending_domain(live_settings) == DOMAIN
    assert sending_domain(live_settings.model_copy(update={"email_from": ""})) == ""


def test_the_row_means_the_same_after_it_was_kept(ledger_engine: Engine, clock: FixedClock) -> None:
    rates = {
        "plan:a": Rate(scope="plan:a", level="stop", why="bounces", since_at=clock.now(), count_back=7, count_sent=9),
        "domain:b": Rate(scope="domain:b", resumed_at=clock.now()),
    }
    with ledger_engine.begin() as connection:
        email_pauses.locked(connection, clock.now())
        email_pauses.put(connection, {**rates, "plan:c": Rate(scope="plan:c")}, now=clock.now())
        assert email_pauses.read(connection) == rates


def test_stopping_and_resuming_by_hand_leaves_a_pause_alone(
    sent: Callable[..., None], ledger_engine: Engine, live_settings: Settings, clock: FixedClock
) -> None:
    sent(1_000, complained=3)
    look(ledger_engine, live_settings, now=clock.now())
    stopped = switch.stop(ledger_engine, now=clock.now(), reason="x", plans=["nurture", "new_lead"])
    assert len(stopped.email_pauses) == 2
    assert switch.resume_some(ledger_engine, now=clock.now(), plans=["nurture"])
    assert not switch.resume_some(ledger_engine, now=clock.now(), plans=["nurture"])
    switch.resume(ledger_engine, now=clock.now(), stale_after=timedelta(hours=24))
    with ledger_engine.connect() as connection:
        left = switch.read(connection)
    assert (left.plans, len(left.email_pauses)) == ((), 2)


def test_the_commands_show_a_pause_and_end_it(
    sent: Callable[..., None], ledger_engine: Engine, live_settings: Settings, database_url: str, server_home: Path,
    clock: FixedClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    sent(1_000, bounced=60)
    look(ledger_engine, live_settings, now=clock.now())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", database_url)
    monkeypatch.setenv("LEADPIPE_HOME", str(server_home))
    monkeypatch.setenv("LEADPIPE_EMAIL_FROM", live_settings.email_from)

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["sending", *words])

    shown = run("status")
    assert shown.exit_code == 1
    assert (
        "marketing email of plan reactivation is paused since 2026-03-03 16:00 UTC: 60 bounces of 1000" in shown.stdout
    )
    assert f"leadpipe sending resume --domain {DOMAIN}" in shown.stdout
    assert "warming up: marketing email to 200 aged addresses a day" in shown.stdout
    assert len(json.loads(run("status", "--json").stdout)["email_pauses"]) == 2
    assert "plan reactivation is paused" in run("resume").stdout, "a plain resume leaves it and says so"
    done = run("resume", "--plan", "reactivation", "--domain", DOMAIN.upper())
    assert done.exit_code == 0
    assert done.stdout.count("resumed: 0 stale messages expired") == 2
    assert json.loads(run("status", "--json").stdout)["email_pauses"] == []
    again = run("resume", "--plan", "reactivation")
    assert again.exit_code == 2
    assert "plan reactivation was not stopped and did not rest" in again.stderr


# warming up


@pytest.fixture
def age(ledger_engine: Engine, clock: FixedClock) -> Callable[..., None]:
    """A function that makes people aged: they came long ago and never spoke."""

    def make(*people: int) -> None:
        with ledger_engine.begin() as connection:
            connection.execute(
                text("update ledger.people set crm_created_at = :at where person_id = any(:people)"),
                {"at": clock.now() - timedelta(days=400), "people": list(people)},
            )

    return make


@pytest.fixture
def schedule(monkeypatch: pytest.MonkeyPatch, pack: Pack) -> None:
    """A schedule of two a day in the first week and three in the second."""
    from dataclasses import replace

    monkeypatch.setattr(warm_up, "load_pack", lambda _: replace(pack, warm_up_per_day=(2, 3)))


def test_aged_addresses_get_so_much_a_day_and_the_others_wait_their_turn(
    schedule: None, add_lead: AddLead, age: Callable[..., None], intent: MakeIntent, put: Put, go: Go, rows: Rows,
    clock: FixedClock,
) -> None:  # fmt: skip
    leads = [add_lead(number) for number in range(1, 9)]
    age(*range(1, 8))
    put(*[intent(lead) for lead in leads])
    assert go().counts == {"accepted": 3, "held": 5}, "two aged ones, and the one who came today"
    held = [row for row in rows("messages") if row.state == "held"]
    assert {row.code for row in held} == {"warm_up"}
    days = sorted((row.not_before_at - clock.now()).days for row in held)
    assert days == [1, 1, 2, 2, 3], "spread over the days that they will have"
    for waited, count in ((1, 2), (1, 2), (1, 1)):
        clock.advance(timedelta(days=waited, seconds=1))
        assert go().counts == {"accepted": count}


def test_senders_side_by_side_do_not_pass_the_days_number(
    schedule: None, add_lead: AddLead, age: Callable[..., None], intent: MakeIntent, put: Put, go: Go, rows: Rows,
) -> None:  # fmt: skip
    leads = [add_lead(number) for number in range(1, 41)]
    age(*range(1, 41))
    put(*[intent(lead) for lead in leads])
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: go(count=10), range(4)))
    assert sum(report.counts.get("accepted", 0) for report in reports) == 2
    assert {row.state for row in rows("messages")} == {"accepted", "held"}


def test_the_schedule_grows_by_the_week_and_ends(
    schedule: None, ledger_engine: Engine, live_settings: Settings, clock: FixedClock
) -> None:
    found: list[int | None] = []
    with ledger_engine.begin() as connection:
        for days in (0, 6, 1, 7):
            clock.advance(timedelta(days=days))
            found.append(warm_up.per_day(connection, live_settings, now=clock.now()))
        off = live_settings.model_copy(update={"warm_up": False})
        assert warm_up.per_day(connection, off, now=clock.now()) is None
        other = live_settings.model_copy(update={"email_from": "hello@another.example"})
        assert warm_up.per_day(connection, other, now=clock.now()) == 2, "another domain begins anew"
    assert found == [2, 2, 3, None]


def test_a_ledger_that_sent_before_there_was_a_schedule_began_then(
    schedule: None, sent: Callable[..., None], ledger_engine: Engine, live_settings: Settings, clock: FixedClock
) -> None:
    sent(1, days=8)
    with ledger_engine.begin() as connection:
        assert warm_up.per_day(connection, live_settings, now=clock.now(), begins=False) == 2
        assert warm_up.per_day(connection, live_settings, now=clock.now()) == 3


def test_answers_and_recent_contacts_are_not_warmed_up(
    schedule: None, add_lead: AddLead, age: Callable[..., None], intent: MakeIntent, put: Put, go: Go,
    ledger_engine: Engine, clock: FixedClock,
) -> None:  # fmt: skip
    spoke, asked, *aged = [add_lead(number) for number in range(1, 7)]
    age(*range(1, 7))
    with ledger_engine.begin() as connection:
        connection.execute(
            text("update ledger.people set last_two_way_at = :at where person_id = 1"),
            {"at": clock.now() - timedelta(days=3)},
        )
        connection.execute(
            text(
                "insert into ledger.inquiries (event_id, person_id, type, occurred_at, first_seen_at) "
                "values (5, 2, 'Inquiry', :at, :at)"
            ),
            {"at": clock.now() - timedelta(days=3)},
        )
    put(*[intent(lead) for lead in (spoke, asked, *aged)])
    put(intent(aged[0], step="answer", purpose="inquiry_response"))
    assert go(min_gap_minutes=0).counts == {"accepted": 5, "held": 2}
