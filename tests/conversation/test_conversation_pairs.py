"""Answers to people who differ only in a name or a ZIP code, by rules and by a model; and what a model may not see."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from leadpipe.conversation import drafting, openai_reader
from leadpipe.conversation.background import Background
from leadpipe.conversation.decision import decide
from leadpipe.conversation.drafting import Answering
from leadpipe.conversation.openai_client import OpenAiClient, quoted
from leadpipe.conversation.protected import HIDDEN, without_protected
from leadpipe.conversation.reading import TurnReading, read_turn
from leadpipe.conversation.turn import InboundMessage, Turn
from leadpipe.outreach.facts import know
from leadpipe.settings import Settings
from tests.conversation.serving import Served, serving
from tests.outreach.test_outreach_pairs import TEAM, market_of, row
from tests.people_in_pairs import NAMES, PAIRS

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
WRITTEN = [
    "Yes, still looking, under $400,000 within 3 months",
    "How much is it?",
    "How is the market there?",
    "Is there a fenced yard?",
    "Are you a real person?",
    "Can I see it tomorrow at 5?",
    "Is it a safe area?",
    "Sí, me interesa, ¿cuánto cuesta?",
]


@pytest.fixture(scope="module")
def sandbox() -> Generator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def asked(sandbox: Served, monkeypatch: pytest.MonkeyPatch) -> tuple[OpenAiClient, list[str]]:
    """A client of the sandbox's OpenAI, and every prompt it was given."""
    changes = {
        "openai_base_url": f"{sandbox.url}/openai/v1",
        "openai_api_key": SecretStr(sandbox.world.sandbox.config.openai_api_key),
    }
    client, prompts = OpenAiClient(Settings().model_copy(update=changes)), list[str]()
    ask = client.ask

    def listened(shape: Any, **more: Any) -> Any:
        prompts.append(f"{more['instructions']}\n{more['words']}")
        return ask(shape, **more)

    monkeypatch.setattr(client, "ask", listened)
    return client, prompts


def turn_of(words: str, channel: str) -> Turn:
    message = InboundMessage(
        id=1, channel=channel, contact_point_id=1, subject="Hello", body=words, in_reply_to=None, received_at=NOW
    )
    return Turn(person_id=7, messages=(message,))


def answered(
    words: str, name: str = "Emily", zip_code: str = "77007", *, channel: str, client: OpenAiClient | None
) -> Answering:
    """What is answered to these words of somebody of this name in this ZIP code."""
    home = {"street": "12 Oak St", "city": "Houston", "state": "TX", "zip": zip_code, "price_usd": "450000"}
    person = row(name, zip_code=zip_code, property=home)
    turn = turn_of(words, channel)
    read = read_turn(turn, before="Are you still looking?", client=client, now=NOW)
    behind = Background(
        known=know(person), contact_point_id=1, has_hint=True, asked_at=NOW - timedelta(days=2), plan="new_lead"
    )
    return drafting.answer(
        turn, read, decide(read.reading, turn.text), behind, settings=TEAM, client=client,
        market=market_of(zip_code)["sentence"], now=NOW,
    )  # fmt: skip


def shape_of(found: Answering, *differing: str) -> tuple[Any, ...]:
    """Everything a lead or an agent would notice, without what may differ."""

    def same(words: str) -> str:
        for each in differing:
            words = words.replace(each, "<>")
        return words

    return (
        same(found.note),
        tuple(
            (i.step, i.channel, i.purpose, i.priority, i.due_at, i.expires_at, i.needs_review, i.is_model_written,
             same(i.subject), same(i.body))
            for i in found.intents
        ),
    )  # fmt: skip


@pytest.mark.parametrize("channel", ["sms", "email", "whatsapp"])
@pytest.mark.parametrize("words", WRITTEN)
def test_rules_answer_every_name_and_either_zip_alike(words: str, channel: str) -> None:
    named = {shape_of(answered(words, name, channel=channel, client=None), name) for name, _ in NAMES}
    assert len(named) == 1
    for pair in PAIRS[:1]:
        at = {shape_of(answered(words, zip_code=code, channel=channel, client=None), code) for code in pair.zips}
        assert len(at) == 1
    assert any(intents for _, intents in named)


@pytest.mark.parametrize("words", ["Is there a fenced yard?", "¿Tiene garaje?"])
def test_the_model_is_asked_the_same_about_every_name_and_answers_alike(
    words: str, asked: tuple[OpenAiClient, list[str]]
) -> None:
    client, prompts = asked
    signed = {
        shape_of(answered(f"{words} {name}", name, channel="email", client=client), name) for name, _ in NAMES[:6]
    }
    assert len(signed) == 1
    drafts = {prompt for prompt in prompts if prompt.startswith("You draft")}
    assert len(drafts) == 1, "a prompt told names apart"
    assert not any(name in prompt for name, _ in NAMES for prompt in drafts)


def test_of_two_zips_the_model_sees_the_zip_alone(asked: tuple[OpenAiClient, list[str]]) -> None:
    client, prompts = asked
    first, second = PAIRS[0].zips
    for code in (first, second):
        answered("Is there a fenced yard?", zip_code=code, channel="sms", client=client)
    drafts = [prompt for prompt in prompts if prompt.startswith("You draft")]
    assert drafts[0].replace(first, "<>") == drafts[1].replace(second, "<>")


PRIVATE = [
    "We're expecting a baby in May",
    "I use a wheelchair",
    "as a Muslim family",
    "near our church",
    "I am a single mother",
    "my two kids",
    "We are Mexican",
    "I have a green card",
    "I make $90,000 a year",
    "my credit score is 640",
    "we have a Section 8 voucher",
    "I'm gay",
    "I am 72 years old",
    "I was diagnosed with cancer",
    "I am a veteran",
    "Estoy embarazada",
    "Uso silla de ruedas",
    "somos inmigrantes",
    "Soy madre soltera",
    "mis hijos",
]


@pytest.mark.parametrize("words", PRIVATE)
def test_what_says_who_a_lead_is_never_reaches_a_prompt(words: str, asked: tuple[OpenAiClient, list[str]]) -> None:
    client, prompts = asked
    hidden = without_protected(words)
    assert HIDDEN in hidden
    turn = turn_of(f"Is there a yard? {words}. We want 3 bedrooms.", "sms")
    openai_reader.read(client, turn, before="")
    assert words not in prompts[-1]
    assert hidden in prompts[-1]
    assert "3 bedrooms" in prompts[-1]


@pytest.mark.parametrize(
    "words",
    [
        "3 bedrooms, two baths, under $400,000",
        "A white kitchen and a black roof",
        "Is there a family room?",
        "Homes on Church Street",
        "Can my agent call?",
        "Three months from now",
        "¿Cuánto cuesta la casa?",
        "Tengo 3 meses",
    ],
)
def test_wishes_for_a_home_are_left_as_they_are(words: str) -> None:
    assert without_protected(words) == words


def test_our_own_words_are_not_read_for_it() -> None:
    assert quoted("agent: Christian Black", "facts") == "<facts>\nagent: Christian Black\n</facts>"


def test_instructions_hold_nothing_about_anyone() -> None:
    from leadpipe.conversation import openai_writer

    for words in (openai_writer.INSTRUCTIONS, openai_reader.INSTRUCTIONS):
        assert without_protected(words).replace(HIDDEN, "") == words.replace(HIDDEN, "")


def test_a_reading_does_not_hang_on_what_was_taken_out(asked: tuple[OpenAiClient, list[str]]) -> None:
    client, _ = asked
    plain = read_turn(turn_of("Yes, 3 bedrooms under $400,000", "sms"), before="", client=client, now=NOW)
    told: TurnReading = read_turn(
        turn_of("Yes, 3 bedrooms under $400,000. We're expecting a baby.", "sms"), before="", client=client, now=NOW
    )
    assert told.reading.intent == plain.reading.intent
    assert {(fact.key, fact.value) for fact in told.facts} == {(fact.key, fact.value) for fact in plain.facts}
