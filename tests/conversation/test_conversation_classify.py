"""Reading of words: rules and local model, measured on sentences written apart from both."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import optouts
from leadpipe.conversation.classify import SUPPRESSING, classify_many
from leadpipe.conversation.local_model import INTENTS, refusal_sentences, reply_sentences, sentences
from leadpipe.conversation.lookalikes import SIGNS, set_aside
from leadpipe.conversation.optout import read_words
from leadpipe.conversation.plain import plain
from tests.conversation.scoring import HERE, Judged, judge, score

BLIND = HERE / "sentences_blind.yaml"
HELD_OUT = HERE / "held_out"


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Every sentence of the test set with its reading."""
    return judge("test")


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


@pytest.mark.parametrize("name", ["test", "fresh"])
def test_the_sentences_that_measure_were_not_trained_on(name: str) -> None:
    trained = {text.strip().lower() for text, _ in (*sentences(), *refusal_sentences(), *reply_sentences())}
    # One-word messages (STOP, Unsubscribe) are the same wherever they are written down.
    shared = {t for t, _, _, _ in judge(name) if t.strip().lower() in trained and len(t.split()) > 2}
    assert not shared


def test_the_figure_of_opt_outs_is_printed_by_language_and_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {
            "text": "kindly have my number taken off that list of yours",
            "is_opt_out": True,
            "language": "en",
            "kind": "sms",
        },
        {"text": "¿sigue en venta la casita azul de don Beto?", "is_opt_out": False, "language": "es", "kind": "email"},
        {"text": "take me off this list", "is_opt_out": True, "language": "en", "kind": "sms"},
    ]
    file = tmp_path / "sentences.yaml"
    file.write_text(json.dumps(rows), encoding="utf-8")
    assert optouts.main([str(file), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["sentences"], figures["left_out_as_trained"]) == (3, 1)
    assert (figures["recall"], figures["false_stop_rate"], figures["holds"]) == (1.0, 0.0, True)
    assert figures["by"]["en sms"]["caught"] == 1
    file.write_text(
        json.dumps([{"text": "is it sold yet or not", "is_opt_out": True, "language": "en", "kind": "sms"}])
    )
    assert optouts.main([str(file), "--wrong"]) == 1
    assert "missed: 'is it sold yet or not'" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[]", "- {text: stop}", "{", "just words"])
def test_a_file_of_sentences_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "sentences.yaml"
    file.write_text(content, encoding="utf-8")
    assert optouts.main([str(file)]) == 2
    assert optouts.main([str(tmp_path / "none.yaml")]) == 2


def test_no_sentence_of_the_blind_set_was_trained_on() -> None:
    given = optouts.read(BLIND)
    assert optouts.unseen(given) == given


def test_opt_outs_that_a_stranger_wrote_are_found_and_little_else_is_stopped() -> None:
    """209 opt-outs and 227 replies picked to be hard; see docs/conversation.md for how far to trust it."""
    judged = optouts.judge(optouts.read(BLIND))
    found = optouts.shares(judged)
    assert found["recall"] >= optouts.RECALL, [s.text for s, r in judged if s.is_opt_out and not r.suppress]
    assert found["caught_or_seen"] == found["opt_outs"]
    assert found["false_stop_rate"] <= optouts.FALSE_STOPS, [
        s.text for s, r in judged if r.suppress and not s.is_opt_out
    ]


def test_of_sentences_that_nobody_read_refusals_are_found_and_little_else_is_stopped() -> None:
    """Figures only, also when it fails: who reads them spoils them."""
    given = [sentence for path in sorted(HELD_OUT.glob("*.yaml")) for sentence in optouts.read(path)]
    found = optouts.shares(optouts.judge(given))
    assert len(given) >= 1_800
    assert found["recall"] >= optouts.RECALL
    assert found["false_stop_rate"] <= optouts.FALSE_STOPS


def test_the_test_set_has_several_hundred_sentences_of_every_intent(judged: Judged) -> None:
    assert len(judged) >= 300
    assert Counter(intent for _, intent, _, _ in judged).keys() == set(INTENTS)


def test_refusals_are_found_and_little_else_is_taken_for_one(judged: Judged) -> None:
    found = score(judged)
    assert found.recall >= 0.99, [t for t, i, _, r in judged if i in SUPPRESSING and not r.suppress]
    assert found.false_hits < 0.02
    assert found.stopped_or_seen == 1.0


def test_intents_and_tone_are_read_as_measured(judged: Judged) -> None:
    assert score(judged).intent >= 0.95
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
    assert found.intent >= 0.90
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


@pytest.mark.parametrize(
    "text",
    [
        "Yes please.\n\nOn Tue, Mar 3, 2026 at 9:14 AM Ana Lee <ana@example.com> wrote:\n> Reply STOP to unsubscribe.",
        "¿Cuánto cuesta?\n\n> Para dejar de recibir estos mensajes, responda BAJA.",
        "Send it over\n\n-----Original Message-----\nFrom: Ana <a@example.com>\nTo stop these click unsubscribe",
        "Signed.\n\n--\nIf you are not the intended recipient delete it and do not contact us.",
        "Liked “Hi Jo, still looking? Reply STOP to end”",
        "Thanks for calling Ruiz Tires! We are closed. Text STOP to cancel.",
        "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I arrive.",
        "Respuesta automática: fuera de la oficina. No responda a este mensaje.",
    ],
)  # fmt: skip
def test_what_is_quoted_or_said_by_a_machine_stops_nothing(text: str) -> None:
    assert not classify_many([text])[0].suppress


@pytest.mark.parametrize(
    "text",
    [
        "Unsubscribe\n\nOn Tue, Mar 3, 2026 at 9:14 AM Ana Lee <ana@example.com> wrote:\n> Are you still looking?",
        "On Tue, Mar 3, 2026 Ana Lee <ana@example.com> wrote:\n> Still looking?\n\nplease take me off your list",
        "> ¿Sigue buscando?\n\nya no me escriban por favor",
        "Stop.\n\nThanks,\nJim\n\n--\nHale Roofing",
        "I replied STOP twice and still get these. Reply STOP to end, it says. So: stop.",
        "can't stop by on Friday, and please stop texting my wife",
        "the bus stop is fine but take me off your list",
    ],
)
def test_cutting_and_setting_aside_hide_no_refusal(text: str) -> None:
    assert classify_many([text])[0].suppress


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("can I stop by at 5?", "zplace"),
        ("take my house off the market", "zdropother"),
        ("please don't stop sending these", "zgoon"),
        ("hay que dar de baja la luz", "zbajaotra"),
        ("the tenant won't leave me alone", "zothers"),
    ],
)
def test_words_said_of_something_else_are_set_aside(text: str, sign: str) -> None:
    assert sign in SIGNS
    assert sign in set_aside(plain(text)).split()


def test_a_phrase_among_other_words_is_not_certain() -> None:
    pure, mixed = (
        read_words("take me off your list please"),
        read_words("go away for a week, said my doctor, take us off"),
    )
    assert pure is not None
    assert pure.is_certain
    assert mixed is None or not mixed.is_certain


@pytest.mark.parametrize("text", ["subscribe me", "please subscribe me", "start please"])
def test_a_wish_to_begin_is_no_slip_of_unsubscribe(text: str) -> None:
    assert not classify_many([text])[0].suppress


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
