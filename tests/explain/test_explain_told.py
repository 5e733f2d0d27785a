"""What is told about a lead and a message: the reason in words, every rule, the local time, the first legal moment."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from leadpipe.cli import main
from leadpipe.explain import lead, message
from leadpipe.explain.wording import CODES, OUTCOMES, RULES
from leadpipe.messaging.cases import REFUSALS
from leadpipe.outreach import queue
from leadpipe.policy import content
from tests.explain.conftest import AGREED, recorded

if TYPE_CHECKING:
    from tests.outreach.conftest import World

AGED = timedelta(days=200)


def told(world: World, person_id: int, **more: Any) -> lead.LeadTold:
    with world.engine.connect() as connection:
        at = more.pop("at", world.clock.now())
        return lead.tell(connection, person_id, at=at, now=world.clock.now(), settings=world.settings, market={})


def command(world: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    from leadpipe.runtime import Runtime

    runtime = Runtime(world.settings)
    runtime.__dict__["clock"] = world.clock
    monkeypatch.setattr("leadpipe.runtime.open_runtime", lambda **_: runtime)
    return CliRunner().invoke(main.app, list(words))


def test_every_code_and_outcome_has_its_words() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \| \S+ \|", page, flags=re.MULTILINE))
    assert named == CODES.keys()
    assert queue.OUTCOMES.keys() <= OUTCOMES.keys()
    assert set(content.RULES) <= {rule.rule for rule in RULES if rule.gate == "words"}


def test_a_message_that_went_is_told_with_every_rule_and_the_time_at_the_persons_place(
    planning_world: World, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = planning_world
    by_text = next(m for m in messages if recorded(world, m).row.person_id == 4)
    found = message.tell(recorded(world, by_text))
    assert found.state == "accepted"
    assert found.sentences[0].startswith(f"Message {by_text}, by text to person 4, went: the provider took it (")
    assert "plan reactivation, step still_looking_sms, for the first time; no contact for" in found.sentences[1]
    last = found.verdicts[-1]
    assert (last.moment, last.decision) == ("claim", "ALLOW")
    assert {ruling.decision for ruling in last.rulings} == {"ok"}
    assert [ruling.rule for ruling in last.rulings][-4:] == ["C15", "C11", "C12", "C13"]
    assert last.places[0]["zone"] == "America/Chicago"
    assert last.consent is not None
    assert last.consent.level == "pewc"
    assert last.first_legal_at == last.judged_for

    # By noon of the day before, it had only been made.
    early = command(world, monkeypatch, "explain", by_text, "--at", "2026-03-03T17:00:00Z", "--json")
    assert json.loads(early.stdout)["state"] in {"queued", "held"}
    printed = command(world, monkeypatch, "explain", by_text)
    assert printed.exit_code == 0
    assert "America/Chicago (TX) 10:56; from zip 78701, area code 512" in printed.stdout
    assert re.search(r"hours\s+C12\s+hours of their state\s+ok", printed.stdout)
    again = command(world, monkeypatch, "replay", by_text, "--json")
    assert (again.exit_code, json.loads(again.stdout)["answer"]) == (0, "identical")


def test_a_lead_who_got_none_is_told_why_and_when_it_would_be_legal(
    planning_world: World, add_person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = planning_world
    add_person(1, age=timedelta(days=20))
    add_person(2, age=AGED, emails=[], **AGREED)
    add_person(3, age=AGED, stage="Closed")
    world.plan()
    world.enqueue_planned()
    recent = told(world, 1)
    assert "plan reactivation" in recent.sentences[0]
    assert "contact 20 days ago" in recent.sentences[0]
    assert {c.plan: c.outcome for c in recent.candidates} == {
        "new_lead": "waits_for_event", "nurture": "waits_for_event", "property_alert": "waits_for_event",
        "reactivation": "not_aged",
    }  # fmt: skip
    by_channel = {reach.channel: reach.told for reach in recent.reaches}
    assert (by_channel["sms"].decision, by_channel["sms"].code) == ("BLOCK", "consent_marketing_sms")
    assert by_channel["email"].decision == "ALLOW"

    # 03:00 in Texas: held until the window opens there.
    night = world.clock.now().replace(hour=9) + timedelta(days=20)
    late = told(world, 2, at=night)
    sms = next(reach for reach in late.reaches if reach.channel == "sms")
    assert (sms.told.decision, sms.told.code, sms.told.judged_for) == ("HOLD", "quiet_hours", night)
    assert sms.told.first_legal_at is not None
    assert sms.told.first_legal_at.astimezone(ZoneInfo("America/Chicago")).hour == 9
    (hours,) = (ruling for ruling in sms.told.rulings if ruling.decision == "HOLD")
    assert (hours.gate, hours.rule) == ("hours", "C12")
    assert told(world, 3).sentences[0] == "Their stage, Closed, ends every plan."

    # The CRM's opt-outs were read a while ago: now that holds, and what lies ahead is judged as planning judges it.
    world.sql(
        "insert into ledger.watermarks (source, value, changed_at) values "
        "(:source, jsonb_build_object('at', cast(:at as text)), :now) on conflict (source) do update "
        "set value = excluded.value",
        source=REFUSALS,
        at=str(world.clock.now() - timedelta(hours=1)),
        now=world.clock.now(),
    )
    assert codes_of(told(world, 2), "sms") >= {"refusals_not_read"}
    assert codes_of(told(world, 2, at=night), "sms") == {"no_body", "quiet_hours"}
    assert codes_of(told(world, 2, at=night), "whatsapp").isdisjoint({"refusals_not_read"})

    printed = command(world, monkeypatch, "explain", "3")
    assert printed.exit_code == 0
    assert "reactivation" in printed.stdout
    assert "Ana" not in printed.stdout  # nobody's name


def codes_of(found: lead.LeadTold, channel: str) -> set[str]:
    """What the rules object to on a channel."""
    reach = next(reach for reach in found.reaches if reach.channel == channel)
    return {ruling.code for ruling in reach.told.rulings if ruling.code}


def test_of_the_past_only_what_had_happened_by_then_counts(planning_world: World, add_person: Any) -> None:
    world = planning_world
    add_person(1, age=AGED)
    before = world.clock.now()
    later = before + timedelta(hours=3)
    world.sql(
        "update ledger.people set automation_paused_at = :at, automation_paused_reason = 'human_acted', "
        "last_human_at = :at, last_two_way_at = :at where person_id = 1",
        at=later,
    )
    world.sql(
        "insert into ledger.suppressions (contact_point_id, channel, action, source, at, recorded_at) "
        "select id, 'all', 'suppress', 'one_click', :at, :at from ledger.contact_points",
        at=later,
    )
    world.clock.advance(timedelta(hours=4))

    then = told(world, 1, at=before)
    assert {c.outcome for c in then.candidates if c.plan == "reactivation"} == {"planned"}
    assert not any("paused since" in sentence for sentence in then.sentences)
    assert {reach.channel for reach in then.reaches} == {"email", "sms", "whatsapp"}
    assert "unsubscribed" not in codes_of(then, "email")
    assert "a pause that was lifted or replaced since is not counted" in then.sentences[-1]

    now = told(world, 1)
    assert {(c.outcome, c.code) for c in now.candidates if c.plan == "reactivation"} == {
        ("stopped", "automation_paused")
    }
    assert any("Automation is paused since" in sentence for sentence in now.sentences)
    assert now.reaches == ()
    assert "lifted" not in now.sentences[-1]


def test_what_became_of_a_decided_message_is_told(planning_world: World, messages: list[str]) -> None:
    world = planning_world
    by_text = next(m for m in messages if recorded(world, m).row.person_id == 4)
    made = world.sql("select at from ledger.decisions where cast(message_id as text) = :id", id=by_text)[0][0]
    [sentence] = [each for each in told(world, 4).sentences if each.startswith("Person 4, plan reactivation")]
    assert "a message was made, and went: the provider took it" in sentence
    assert "waits for its time" not in sentence
    [early] = [each for each in told(world, 4, at=made).sentences if each.startswith("Person 4, plan reactivation")]
    assert "went" not in early


WRONG = (
    (("explain", "abc"), 2, "'abc' is neither a person id"),
    (("explain", "99"), 1, "person 99 is not in the ledger"),
    (("explain", "00000000-0000-0000-0000-000000000001"), 1, "there is no message"),
    (("explain", "1", "--at", "yesterday"), 2, "--at yesterday is no time"),
    (("replay", "12"), 2, "'12' is no message id"),
    (("replay", "00000000-0000-0000-0000-000000000001"), 1, "there is no message"),
    (("simulate", "autumn"), 2, "no plan 'autumn'"),
)


def test_what_there_is_not_is_said_in_one_line(planning_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, code, said in WRONG:
        result = command(planning_world, monkeypatch, *words)
        assert (result.exit_code, result.stdout) == (code, ""), words
        assert result.stderr.startswith(said)
