"""Reading of words: rules and local model, measured on sentences written apart from both."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadpipe.conversation.classify import SUPPRESSING, classify_many
from leadpipe.conversation.local_model import INTENTS, sentences
from leadpipe.conversation.optout import read_words
from tests.conversation.scoring import Judged, judge, score


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Every sentence of the test set with its reading."""
    return judge("test")


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


@pytest.mark.parametrize("name", ["test", "fresh"])
def test_the_sentences_that_measure_were_not_trained_on(name: str) -> None:
    trained = {text.strip().lower() for text, _ in sentences()}
    # One-word messages (STOP, Unsubscribe) are the same wherever they are written down.
    shared = {t for t, _, _, _ in judge(name) if t.strip().lower() in trained and len(t.split()) > 2}
    assert not shared


def test_the_test_set_has_several_hundred_sentences_of_every_intent(judged: Judged) -> None:
    assert len(judged) >= 300
    assert Counter(intent for _, intent, _, _ in judged).keys() == set(INTENTS)


def test_refusals_are_found_and_little_else_is_taken_for_one(judged: Judged) -> None:
    found = score(judged)
    assert found.recall >= 0.99, [t for t, i, _, r in judged if i in SUPPRESSING and not r.suppress]
    assert found.false_hits < 0.02
    assert found.stopped_or_seen == 1.0


def test_intents_and_tone_are_read_as_measured(judged: Judged) -> None:
    assert score(judged).intent >= 0.96
    assert share([tone == reading.sentiment for _, _, tone, reading in judged]) >= 0.90


@pytest.mark.parametrize(
    "words",
    [
        "I'm reporting you to the FCC",
        "This is harassment",
        "one more text and my lawyer will sue you",
        "this is illegal",
    ],
)
def test_who_threatens_to_complain_is_not_neutral(words: str) -> None:
    (reading,) = classify_many([words])
    assert reading.sentiment == "negative"


def test_words_that_nobody_had_seen_are_read_nearly_as_well() -> None:
    """The floor is what was measured once; a refusal that is not carried out must at least reach a person."""
    found = score(judge("fresh"))
    assert found.recall >= 0.98
    assert found.stopped_or_seen == 1.0
    assert found.false_hits < 0.02
    assert found.intent >= 0.91
    assert found.harmless_to_a_person < 0.15


def test_what_was_once_read_wrongly_stays_right() -> None:
    found = score(judge("dev"))
    assert found.recall >= 0.99
    assert found.stopped_or_seen == 1.0
    assert found.false_hits < 0.01


@pytest.mark.parametrize(
    "text",
    [
        "can I stop by at 5?",
        "Can you stop by the house tomorrow?",
        "we can't stop looking",
        "I can't stop thinking about that kitchen",
        "where is the bus stop?",
        "does the train stop near there?",
        "don't stop sending listings please",
        "we had to stop the car to look at it, loved it",
        "the end unit please",
        "is there a stop sign at the corner?",
        "podemos parar a verla el sábado?",
        "no pare de mandarme casas",
        "quit my job so we can move in May",
        "cancel culture aside, is the HOA strict?",
        "we want to end our lease and buy",
    ],
)
def test_a_stop_that_is_none_suppresses_nothing(text: str) -> None:
    reading = classify_many([text])[0]
    assert not reading.suppress, reading


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop.", " Stop!! ", "S T O P", "s.t.o.p", "stpo", "STOPP", "stop please",
        "please STOP", "🛑", "STOP 🙏", "Unsubscribe",
        "UNSUBSCRIBE ME", "unsubcribe", "remove me", "take me off your list", "don't text me",
        "dont txt me",
        "lose my number", "leave me alone", "no more texts", "stop all", "STOPALL", "opt-out", "OptOut", "END", "Quit",
        "cancel", "ALTO", "Parar", "basta ya", "no me escriban más", "ya no me manden mensajes", "quítenme de la lista",
        "déjenme en paz", "dejen de llamarme", "no quiero más mensajes", "cancelar suscripción", "dar de baja",
        "wrong number", "you have the wrong person", "número equivocado", "I'm reporting you to the FCC",
        "my lawyer will call you",
        "los voy a demandar", "I revoke my consent", "not interested, stop contacting me", "fuck off",
    ],
)  # fmt: skip
def test_a_refusal_suppresses_however_it_is_typed(text: str) -> None:
    reading = classify_many([text])[0]
    assert reading.suppress, reading


@pytest.mark.parametrize("text", ["not interested", "no thanks", "we already bought a house", "ya compramos, gracias"])
def test_no_interest_is_no_legal_opt_out(text: str) -> None:
    reading = classify_many([text])[0]
    assert (reading.intent, reading.suppress) == ("not_interested", False)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gets_a_whole_reading(text: str) -> None:
    reading = classify_many([text])[0]
    assert reading.intent in INTENTS
    assert reading.suppress == (reading.intent in SUPPRESSING)
    assert 0 <= reading.confidence <= 1
    assert reading.sentiment in {"positive", "neutral", "negative"}


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["stop", "unsubscribe", "stopall", "optout", "alto", "parar"]),
    st.sampled_from(["", " ", "!", "...", " 🙏", "\n", " 😡😡"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_case_marks_and_emoji_never_hide_a_keyword(word: str, after: str, case: object) -> None:
    assert callable(case)
    words = read_words(f" {case(word)}{after}")
    assert words is not None
    assert (words.kind, words.source) == ("stop", "stop_keyword")


def test_a_batch_reads_as_each_text_alone() -> None:
    texts = ["STOP", "is it still available?", "sí, me interesa", "", "👍"]
    assert classify_many(texts) == [classify_many([text])[0] for text in texts]
