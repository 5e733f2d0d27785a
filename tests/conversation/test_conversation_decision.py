"""The table from what a turn means to what follows, with no store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leadpipe.conversation import handoff, topics
from leadpipe.conversation.answers import _texts
from leadpipe.conversation.classify import SUPPRESSING, Reading
from leadpipe.conversation.decision import Decision, decide
from leadpipe.conversation.local_model import INTENTS


def read_as(intent: str, confidence: float = 0.9) -> Reading:
    return Reading(
        intent=intent, suppress=intent in SUPPRESSING, sentiment="neutral", confidence=confidence, reader="test"
    )


@pytest.mark.parametrize(
    ("intent", "event", "pause", "handed", "awaits", "answer"),
    [
        ("opt_out", "opt_out", "", "", "nobody", ""),
        ("wrong_number", None, "", "", "nobody", ""),
        ("complaint", "opt_out", "complaint", "complaint", "agent", ""),
        ("not_interested", "not_interested", "not_interested", "", "agent", ""),
        ("later", "reply", "later", "", "nobody", ""),
        ("interested", "positive_reply", "", "interested", "agent", "interested"),
        ("appointment", "positive_reply", "", "appointment", "agent", "appointment"),
        ("question", "positive_reply", "", "question", "agent", "question"),
        ("has_agent", "not_interested", "has_agent", "", "nobody", ""),
        ("human", "reply", "", "human", "agent", "human"),
        ("other", "reply", "", "", "nobody", ""),
    ],
)
def test_each_intent_has_its_consequences(
    intent: str, event: str | None, pause: str, handed: str, awaits: str, answer: str
) -> None:
    decision = decide(read_as(intent), "hello there")
    assert (decision.event, decision.pause, decision.handoff, decision.awaits, decision.answer) == (
        event,
        pause,
        handed,
        awaits,
        answer,
    )


def test_every_intent_is_decided_and_every_reason_and_answer_has_words() -> None:
    for intent in INTENTS:
        for text in ("hello", "I am 16", "is it a safe neighborhood?", "my ssn is [redacted]"):
            for paused_by in ("", "human_acted", "later"):
                decision = decide(read_as(intent), text, paused_by=paused_by)
                assert not decision.handoff or decision.handoff in handoff.REASONS
                assert not decision.answer or decision.answer in _texts()
                assert decision.awaits in {"agent", "lead", "nobody"}
                assert decision.state in {"open", "handed_off", "paused", "closed"}


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Is it safe around there?", "neighbourhood"),
        ("how safe is the area", "neighbourhood"),
        ("are the schools good?", "neighbourhood"),
        ("good schools nearby?", "neighbourhood"),
        ("what kind of people live there", "neighbourhood"),
        ("we want a Korean neighborhood", "neighbourhood"),
        ("¿es segura la zona?", "neighbourhood"),
        ("would they take 380k?", "negotiation"),
        ("I'd like to make an offer", "negotiation"),
        ("what is your commission", "negotiation"),
        ("what are mortgage rates right now", "advice"),
        ("do I pay capital gains on this", "advice"),
        ("I'm 16", "minor"),
        ("I am only 15 years old lol", "minor"),
        ("soy menor de edad", "minor"),
        ("I want to die", "distress"),
        ("you discriminated against us", "discrimination"),
        ("my ssn is [redacted]", "sensitive_data"),
        ("Does it have a garage?", ""),
        ("we saw 3 homes, need 4 bedrooms", ""),
        ("can I stop by at 5?", ""),
        ("our budget is 400k", ""),
        ("I am 45 and looking for a quiet street", ""),
    ],
)
def test_subjects_for_people_are_told(text: str, topic: str) -> None:
    assert topics.topic_of(text) == topic


@pytest.mark.parametrize("topic_text", ["I'm 16, can I rent it?", "I want to die", "because we are black?"])
def test_with_some_subjects_nothing_is_sent_and_automation_stops(topic_text: str) -> None:
    decision = decide(read_as("question"), topic_text)
    assert (decision.answer, decision.may_draft, decision.awaits) == ("", False, "agent")
    assert decision.pause
    assert decision.event == "not_interested"


def test_a_question_about_an_area_gets_sources_and_no_opinion() -> None:
    decision = decide(read_as("question"), "is it a safe neighborhood?")
    assert (decision.answer, decision.handoff, decision.may_draft) == ("neighbourhood", "neighbourhood", False)


@pytest.mark.parametrize(
    "words",
    [
        "Is it safe?", "good schools?", "what kind of people live there?", "is it a good area for Jewish families?",
        "we want a Korean neighbourhood",
    ],
)  # fmt: skip
def test_the_areas_people_are_answered_with_where_to_look_and_a_person_decides(words: str) -> None:
    """Compliance C36 and C38: the redirect text is offered, no opinion given."""
    decision = decide(read_as("question"), words)
    assert (decision.answer, decision.handoff, decision.may_draft) == ("neighbourhood", "neighbourhood", False)


def test_a_social_security_number_is_put_before_a_person() -> None:
    """Compliance C35."""
    decision = decide(read_as("question"), "my ssn is [redacted], am I approved?")
    assert (decision.handoff, decision.reason, decision.may_draft) == ("sensitive_data", "sensitive_data", False)


def test_a_subject_never_softens_a_refusal() -> None:
    decision = decide(read_as("opt_out"), "stop texting me, I am 16")
    assert decision == decide(read_as("opt_out"), "stop")


def test_what_cannot_be_read_goes_to_a_person() -> None:
    assert decide(read_as("other", 0.2), "asdf qwer").handoff == "unclear"
    assert decide(read_as("other", 0.8), "ok thanks").handoff == ""


def test_small_talk_during_a_hand_off_leaves_the_lead_with_the_agent() -> None:
    decision = decide(read_as("other"), "ok thanks", is_with_agent=True)
    assert (decision.awaits, decision.handoff) == ("agent", "")


@pytest.mark.parametrize("intent", [i for i in INTENTS if i not in SUPPRESSING])
def test_while_a_human_has_the_lead_nothing_is_answered_and_the_human_is_told(intent: str) -> None:
    decision = decide(read_as(intent), "hello", paused_by="human_acted")
    assert (decision.answer, decision.may_draft, decision.lifts_pause) == ("", False, False)
    assert decision.event != "positive_reply"
    if not decision.pause:
        assert (decision.state, decision.awaits) == ("paused", "agent")


@pytest.mark.parametrize("paused_by", ["later", "not_interested"])
def test_new_interest_ends_the_pause_that_the_leads_own_words_brought(paused_by: str) -> None:
    decision: Decision = decide(read_as("interested"), "we are ready now", paused_by=paused_by)
    assert decision.lifts_pause
    assert decision.answer == "interested"
    assert not decide(read_as("other"), "ok", paused_by=paused_by).lifts_pause


@pytest.mark.parametrize(("probability", "is_doubt"), [(0.0, False), (0.19, False), (0.2, True), (0.44, True)])
def test_what_may_be_a_refusal_is_answered_by_nobody_until_a_person_has_read_it(
    probability: float, is_doubt: bool
) -> None:
    decision = decide(replace(read_as("question"), refusal_probability=probability), "solicitor will deal with you")
    assert (decision.reason == "maybe_refusal") == is_doubt
    if is_doubt:
        assert (decision.answer, decision.pause, decision.handoff) == ("", "maybe_refusal", "maybe_refusal")
        assert not decision.is_refusal
