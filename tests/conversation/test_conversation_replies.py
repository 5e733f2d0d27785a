"""The reply pass against the real ledger: readings, consequences, answers, and runs that die."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.conversation import effects, reading, turn
from leadpipe.conversation.classify import Reading
from leadpipe.conversation.reading import TurnReading
from leadpipe.crm.inquiries import Inquiry, store_inquiries
from leadpipe.errors import TransientError
from leadpipe.explain import record
from leadpipe.explain.replay import replay
from leadpipe.outreach import enrol
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.bootstrap import create_tables
from leadpipe.work.replies import answer_replies
from tests.conversation.conftest import EMAIL, AddPerson, NoMarket, ReadReplies, Rows, Say, Write

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.store.lake import Lake

ANSWERS = (
    "select step, occurrence, channel, subject, body, state, code from ledger.messages where plan = 'conversation' "
    "order by occurrence, step"
)
SAID = {
    1: "Yes, we are still looking! Under $400,000 in Austin",
    2: "Can I stop by at 5?",
    3: "Does it have a garage?",
    4: "Not right now, maybe in 6 months",
    5: "No thanks, not interested",
    6: "We already have an agent",
    7: "are you a bot?",
    8: "ok thanks",
    9: "please cease and desist from writing me any of that",
    10: "is it a safe neighborhood?",
}


def replayed(engine: Engine, rows: Rows, clock: FixedClock) -> list[str]:
    """What a replay of each answer says."""
    with engine.connect() as connection:
        found = [
            record.read(connection, row["id"], by=clock.now())
            for row in rows("select id::text as id from ledger.messages where plan = 'conversation'")
        ]
    return [replay(each, settings=None).answer for each in found]


def phone(person_id: int) -> str:
    return f"+151255501{person_id:02d}"


def test_every_intent_has_its_effect_in_the_ledger(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    """One pass over ten leads who each mean something else."""
    entries: list[enrol.Entry] = []
    for person_id in SAID:
        add_person(person_id)
        write(person_id, state="delivered")
        due_at = clock.now() + timedelta(days=20)
        passage: dict[str, Any] = {"plan": "reactivation", "plan_version": "v", "occurrence": 1, "step": "silence"}
        entries.append(enrol.Entry(person_id=person_id, **passage, due_at=due_at, reason="aged", context={}))
    with ledger_engine.begin() as connection:
        enrol.open_passages(connection, entries, now=clock.now())
    for person_id, words in SAID.items():
        say(words, address=phone(person_id))
    report = read_replies()

    by_person: dict[int, dict[str, Any]] = {
        row["person_id"]: row
        for row in rows(
            "select p.person_id, m.intent, p.automation_paused_reason as paused, c.state, c.awaits, "
            "h.reason as handoff, (select end_reason from ledger.enrolments e "
            "where e.person_id = p.person_id and plan = 'reactivation') as "
            "ended, exists (select 1 from ledger.enrolments e where e.person_id = p.person_id and plan = 'nurture') as "
            "nurtured, "
            "array(select kind from ledger.writebacks w where w.person_id = p.person_id order by kind) as wrote, "
            "(select count(*) from ledger.messages a where a.person_id = p.person_id and a.plan = 'conversation') as n "
            "from ledger.people p join ledger.inbound_messages m using (person_id) join ledger.conversations c using "
            "(person_id) left join ledger.handoffs h on h.person_id = p.person_id and h.closed_at is null"
        )
    }
    seen = {
        person_id: (r["intent"], r["paused"], r["state"], r["awaits"], r["handoff"], r["ended"], r["nurtured"], r["n"])
        for person_id, r in by_person.items()
    }
    assert seen == {
        1: ("interested", None, "handed_off", "agent", "interested", "positive_reply", True, 1),
        2: ("appointment", None, "handed_off", "agent", "appointment", "positive_reply", True, 1),
        3: ("question", None, "handed_off", "agent", "question", "positive_reply", True, 1),
        4: ("later", "later", "paused", "nobody", None, "reply", False, 0),
        5: ("not_interested", "not_interested", "paused", "agent", None, "not_interested", False, 0),
        6: ("has_agent", "has_agent", "paused", "nobody", None, "not_interested", False, 0),
        7: ("human", None, "handed_off", "agent", "human", "reply", False, 1),
        8: ("other", None, "open", "nobody", None, "reply", False, 0),
        9: ("complaint", "complaint", "handed_off", "agent", "complaint", "opt_out", False, 0),
        10: ("question", None, "handed_off", "agent", "neighbourhood", "positive_reply", True, 1),
    }
    assert by_person[1]["wrote"] == ["note", "tags", "task"]
    assert by_person[5]["wrote"] == ["note", "stage", "tags"]
    assert rows("select payload from ledger.writebacks where kind = 'stage'") == [
        {"payload": {"stage": "Nurture", "from": "Lead"}}
    ]
    facts = rows("select key, value, sentence from ledger.qualifications where person_id = 1 order by key")
    assert [(row["key"], row["value"]) for row in facts] == [("budget_high_usd", "400000"), ("city", "Austin")]
    assert facts[0]["sentence"] == "Under $400,000 in Austin"
    # The gateway obeyed the complaint at once; nine were left to read.
    assert report.count_turns == 9
    assert rows("select 1 from ledger.inbound_messages where read_at is null or lease_owner is not null") == []
    assert rows("select count(*) from ledger.writebacks where kind = 'note'") == [{"count": 10}]
    assert replayed(ledger_engine, rows, clock) == ["identical"] * 5


def test_a_bot_that_is_asked_says_so_and_offers_a_person(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    add_person()
    write(state="delivered")
    say("Is this a real person?")
    read_replies()
    answer = rows(ANSWERS)[0]
    assert answer["state"] == "queued"
    assert "computer program" in answer["body"]
    assert "Bo Lee" in answer["body"]


def test_a_spanish_lead_is_answered_in_spanish_by_mail_under_their_own_subject(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    add_person()
    ours = write(state="delivered", channel="email")
    say("Sí, todavía estoy buscando casa", channel="email", subject="RE: Re: Still looking?", in_reply_to=ours)
    read_replies()
    answer = rows(ANSWERS)[0]
    assert (answer["channel"], answer["subject"], answer["state"]) == ("email", "Re: Still looking?", "queued")
    assert answer["body"].startswith("Hola Ana,\n\nGracias Ana. Bo Lee tiene su mensaje.")
    assert "%%unsubscribe_url%%" in answer["body"]
    assert "1 Example Street" in answer["body"]
    evidence = rows("select evidence from ledger.messages where plan = 'conversation'")[0]["evidence"]
    assert evidence["variables"]["in_reply_to"] == f"<provider-{ours}@email.amazonses.com>"
    assert evidence["inbound_ids"] == [1]


def test_the_next_question_is_the_first_thing_not_known(
    add_person: AddPerson, say: Say, read_replies: ReadReplies, rows: Rows, clock: FixedClock, write: Write
) -> None:
    add_person()
    write(state="delivered")
    say("yes we want to buy")
    read_replies()
    assert "When would you like to move?" in rows(ANSWERS)[0]["body"]
    say("yes please, in 3 months")
    read_replies()
    assert "Which cities or ZIP codes should we look at?" in rows(ANSWERS)[1]["body"]


def test_a_question_about_the_price_is_answered_with_what_was_stated_and_when(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    add_person()
    home = {"street": "12 Oak St", "city": "Denver", "price_usd": "450000"}
    inquiry = Inquiry(
        event_id=9, person_id=1, type="Property Inquiry", source="Zillow", message="", property=home,
        occurred_at=clock.now() - timedelta(days=2),
    )  # fmt: skip
    store_inquiries(ledger_engine, [inquiry], now=clock.now())
    write(state="delivered")
    say("how much is it?")
    read_replies()
    body = rows(ANSWERS)[0]["body"]
    assert "The price stated for 12 Oak St when you asked on 2026-03-01 was $450,000." in body
    say("how much is the HOA fee?")
    read_replies()
    assert "$" not in rows(ANSWERS)[1]["body"]


def test_two_replies_in_a_row_are_one_turn_with_one_note_and_one_answer(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    write(state="delivered")
    say("Yes we are interested")
    clock.advance(timedelta(seconds=1))
    say("does it have a garage?")
    report = read_replies()
    assert report.count_turns == 1
    assert len(rows(ANSWERS)) == 1
    notes = rows("select marker, payload ->> 'body' as body from ledger.writebacks where kind = 'note'")
    assert [note["marker"] for note in notes] == ["turn:2"]
    assert "> Yes we are interested\n> does it have a garage?" in notes[0]["body"]
    assert rows("select turns from ledger.conversations") == [{"turns": 1}]


def test_a_turn_is_not_read_while_the_lead_is_still_writing_but_not_for_ever(
    add_person: AddPerson, say: Say, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person()
    say("hello")
    assert turn.take(ledger_engine, worker="w", now=clock.now(), limit=9) == []
    for number in range(14):
        clock.advance(timedelta(seconds=1.5))
        say(f"and {number}")
    taken = turn.take(ledger_engine, worker="w", now=clock.now(), limit=9)
    assert [len(each.messages) for each in taken] == [15]


def test_a_second_message_overtakes_an_answer_that_has_not_left(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    write(state="delivered")
    say("does it have a garage?")
    read_replies()
    say("and can we see it tomorrow?")
    read_replies()
    assert [(row["occurrence"], row["state"], row["code"]) for row in rows(ANSWERS)] == [
        (1, "cancelled", "wrote_again"),
        (2, "queued", None),
    ]


def test_a_run_that_dies_between_answer_and_effects_loses_nothing_and_repeats_nothing(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_person()
    write(state="delivered")
    say("does it have a garage?")

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: object, **__: object) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(effects, "conclude", die)
        with pytest.raises(Killed):
            read_replies()
    assert len(rows(ANSWERS)) == 1
    assert rows("select 1 from ledger.handoffs") == []
    assert rows("select 1 from ledger.inbound_messages where read_at is null") == [{"?column?": 1}]
    assert read_replies().count_turns == 0, "the dead run's lease still holds"
    clock.advance(turn.LEASE)
    assert read_replies().count_turns == 1
    assert [(row["occurrence"], row["state"]) for row in rows(ANSWERS)] == [(1, "queued")]
    assert rows("select count(*) from ledger.handoffs") == [{"count": 1}]
    assert rows("select count(*) from ledger.writebacks where kind = 'note'") == [{"count": 1}]
    assert rows("select turns from ledger.conversations") == [{"turns": 1}]


def test_a_run_that_dies_inside_the_effects_has_written_none_of_them(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_person()
    write(state="delivered")
    say("not interested, thanks")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(effects, "mark_read", die)
        with pytest.raises(KeyboardInterrupt):
            read_replies()
    for table in ("conversations", "writebacks", "handoffs", "qualifications"):
        assert rows(f"select 1 from ledger.{table}") == [], table
    assert rows("select automation_paused_at from ledger.people") == [{"automation_paused_at": None}]
    clock.advance(turn.LEASE)
    assert read_replies().count_turns == 1


def test_a_turn_that_fails_waits_holds_its_person_and_tells_somebody_and_the_others_go_on(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_person(1)
    add_person(2)
    say("does it have a garage?", address=phone(1))
    say("does it have a pool?", address=phone(2))
    conclude = effects.conclude

    def fail_for_one(connection: Any, each: turn.Turn, *given: Any, **more: Any) -> bool:
        if each.person_id == 1:
            raise TransientError("the disk is full")
        return conclude(connection, each, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(effects, "conclude", fail_for_one)
        report = read_replies()
    assert (report.count_turns, report.failures) == (1, ["the disk is full"])
    assert rows("select person_id from ledger.inbound_messages where read_at is null") == [{"person_id": 1}]
    assert rows("select kind from ledger.alerts where kind = 'reply_not_handled'") == [{"kind": "reply_not_handled"}]
    clock.advance(timedelta(seconds=31))
    assert read_replies().count_turns == 1


def test_two_readers_never_take_the_same_person(
    add_person: AddPerson, say: Say, ledger_engine: Engine, clock: FixedClock
) -> None:
    for person_id in range(1, 7):
        add_person(person_id)
        say("hello", address=phone(person_id))
        say("are you there?", address=phone(person_id))
    clock.advance(timedelta(seconds=3))
    first = turn.take(ledger_engine, worker="a", now=clock.now(), limit=4)
    second = turn.take(ledger_engine, worker="b", now=clock.now(), limit=4)
    people = [each.person_id for each in (*first, *second)]
    assert sorted(people) == [1, 2, 3, 4, 5, 6]
    assert {len(each.messages) for each in (*first, *second)} == {2}


def test_a_turn_that_another_reader_has_finished_is_left_alone(
    add_person: AddPerson, say: Say, ledger_engine: Engine, clock: FixedClock, settings: Settings, rows: Rows
) -> None:
    add_person()
    say("hello")
    clock.advance(timedelta(seconds=3))
    taken = turn.take(ledger_engine, worker="slow", now=clock.now(), limit=4)[0]
    read = Reading(intent="other", suppress=False, sentiment="neutral", confidence=0.9, reader="test")
    from leadpipe.conversation.decision import decide

    outcomes: list[bool] = []
    for _ in range(2):
        with ledger_engine.begin() as connection:
            outcomes.append(
                effects.conclude(connection, taken, read, decide(read, "hello"), settings=settings, now=clock.now())
            )
    assert outcomes == [True, False]
    assert rows("select count(*) from ledger.writebacks") == [{"count": 1}]


def test_while_an_agent_has_the_lead_nothing_is_answered_and_the_agent_is_told(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows, ledger_engine: Engine
) -> None:
    add_person()
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "update ledger.people set automation_paused_at = crm_created_at, "
                "automation_paused_reason = 'human_acted'"
            )
        )
    say("does it have a garage?")
    read_replies()
    assert rows(ANSWERS) == []
    assert rows("select reason from ledger.handoffs") == [{"reason": "question"}]
    assert rows("select state, awaits from ledger.conversations") == [{"state": "paused", "awaits": "agent"}]
    assert rows("select 1 from ledger.enrolments") == []


def test_new_interest_ends_the_quiet_a_lead_asked_for(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    add_person()
    write(state="delivered")
    say("maybe next year")
    read_replies()
    assert rows("select automation_paused_reason as why from ledger.people") == [{"why": "later"}]
    say("actually yes, we are interested now!")
    read_replies()
    assert rows("select automation_paused_reason as why from ledger.people") == [{"why": None}]
    assert [row["state"] for row in rows(ANSWERS)] == ["queued"]


def test_a_refusal_in_free_words_suppresses_and_a_doubtful_one_is_told_to_a_person(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_person()
    waiting = write(purpose="conversation")
    say("this has become rather tiresome, I trust we are done here")
    doubtful = Reading(intent="opt_out", suppress=True, sentiment="negative", confidence=0.6, reader="local:x")
    monkeypatch.setattr(reading, "read_turn", lambda *_, **__: TurnReading(reading=doubtful))
    read_replies()
    assert {row["source"] for row in rows("select source from ledger.suppressions")} == {"model"}
    state = rows("select state from ledger.messages where id = cast(:id as uuid)", id=waiting)
    assert state == [{"state": "cancelled"}]
    assert rows("select kind from ledger.alerts") == [{"kind": "refusal_unsure"}]


def test_a_strangers_words_are_read_and_told_and_answered_by_nobody(
    say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    say("is the house on Oak still available?", address="+15125550190")
    report = read_replies()
    assert report.count_turns == 1
    assert rows("select kind from ledger.alerts") == [{"kind": "unknown_sender"}]
    assert rows("select intent from ledger.inbound_messages") == [{"intent": "question"}]


def test_a_stranger_whom_the_crm_has_told_of_meanwhile_is_read_as_that_person(
    say: Say, add_person: AddPerson, read_replies: ReadReplies, rows: Rows
) -> None:
    assert say("is it still available?").person_id is None
    add_person()
    read_replies()
    assert rows("select person_id, intent from ledger.inbound_messages") == [{"person_id": 1, "intent": "question"}]
    assert len(rows("select 1 from ledger.handoffs where person_id = 1")) == 1


def test_a_picture_without_words_goes_to_a_person(
    add_person: AddPerson, say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    add_person()
    say("", full_body="\n[media: https://example.com/1.jpg]", channel="whatsapp")
    read_replies()
    assert rows("select reason from ledger.handoffs") == [{"reason": "unclear"}]


def test_two_people_at_one_number_get_turns_of_their_own(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    """The contact point is half of a message's key: equal numbers would drop the second person's answer."""
    for person_id in (11, 42):
        add_person(person_id, phones=[{"value": phone(1)}])
        ours = write(person_id, state="delivered")
        say("does it have a garage?", in_reply_to=ours)
        read_replies()
    found = rows("select person_id, occurrence from ledger.messages where plan = 'conversation' order by 1")
    assert found == [{"person_id": 11, "occurrence": 1}, {"person_id": 42, "occurrence": 2}]


def test_words_of_a_model_go_at_once_only_when_the_plan_says_so(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    ledger_engine: Engine,
    clock: FixedClock,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from leadpipe.conversation import drafting
    from leadpipe.conversation.openai_client import OpenAiClient, Usage
    from leadpipe.conversation.openai_writer import Drafted

    usage = Usage(purpose="draft", model="m", input_tokens=1, cached_tokens=0, output_tokens=1, cost_usd=0.1)
    drafted = Drafted(words="Bo Lee has your question about the garage.", model="m", usage=usage)
    monkeypatch.setattr(drafting.openai_writer, "write", lambda *_, **__: drafted)
    monkeypatch.setattr(OpenAiClient, "from_settings", staticmethod(OpenAiClient))
    monkeypatch.setattr(
        reading,
        "_by_openai",
        lambda client, each, before, facts: TurnReading(reading=reading._local(each), facts=facts),
    )
    folder = tmp_path / "plans"
    folder.mkdir()
    from importlib.resources import files

    source = files("leadpipe.outreach") / "plans"
    for name in ("new_lead", "nurture", "property_alert", "reactivation"):
        words = (source / f"{name}.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(words.replace("model_text: review", "model_text: send"))
    add_person()
    write(state="delivered")
    say("does it have a garage?")
    read_replies(plans_path=folder)
    assert [(row["step"], row["state"]) for row in rows(ANSWERS)] == [("draft", "queued")]
    assert replayed(ledger_engine, rows, clock) == ["identical"]


def test_leads_who_wrote_are_scored_again_in_one_go(
    ledger_engine: Engine,
    lake: Lake,
    settings: Settings,
    clock: FixedClock,
    add_person: AddPerson,
    write: Write,
    say: Say,
) -> None:
    create_tables(lake)
    runtime = Runtime(settings)
    runtime.__dict__.update(engine=ledger_engine, clock=clock, market_facts=NoMarket(), lake=lake)
    for person_id in (1, 2, 3):
        add_person(person_id)
    say("yes we want to buy in 2 months", address=phone(1))
    say("does it have a garage?", address=phone(2))
    clock.advance(timedelta(seconds=3))
    report = answer_replies(runtime, linger_seconds=0)
    assert (report.count_rescored, report.failures) == (2, [])
    scored = lake.query("select person_id, features from scoring.lead_scores order by 1").to_pylist()
    assert [row["person_id"] for row in scored] == [1, 2]
    assert json.loads(scored[0]["features"])["timeline_months"] == 2


def test_a_lake_that_cannot_be_read_costs_no_answer(
    runtime: Callable[..., Runtime], add_person: AddPerson, write: Write, say: Say, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    write(state="delivered")
    say("does it have a garage?")
    clock.advance(timedelta(seconds=3))

    class Gone:
        """A lake that is not there."""

        def __getattr__(self, name: str) -> Any:
            raise OSError("no lake")

    broken = runtime()
    broken.__dict__["lake"] = Gone()
    report = answer_replies(broken, linger_seconds=0)
    assert report.count_turns == 1
    assert report.failures == ["not scored again: OSError"]


def test_counts_for_dagster_hold_no_words_and_no_addresses(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies
) -> None:
    add_person()
    write(state="delivered")
    say("my garage question")
    shown = json.dumps(read_replies().as_metadata())
    assert "garage" not in shown
    assert EMAIL not in shown
