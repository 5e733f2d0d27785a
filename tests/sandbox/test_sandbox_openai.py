"""The OpenAI-compatible endpoint by the official SDK (messaging sheet 6)."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Literal

import openai
import pydantic
import pytest
from openai import OpenAI

from leadpipe.sandbox.fake_model import read_intent
from leadpipe.sandbox.population.answers import WEIGHTS, sentences

Intent = Literal[
    "opt_out", "wrong_number", "complaint", "not_interested", "later", "interested", "appointment", "question",
    "has_agent", "human", "other",
]  # fmt: skip


class Reading(pydantic.BaseModel):
    """What a reader of replies asks for."""

    intent: Intent
    sentiment: Literal["positive", "neutral", "negative"]
    suppress: bool
    confidence: float
    budget_usd: int | None
    timeline_months: int | None
    side: Literal["buying", "selling"] | None
    budget_sentence: str | None


@pytest.fixture
def client(sandbox: Any) -> Generator[OpenAI]:
    with OpenAI(api_key=sandbox.config.openai_api_key, base_url=f"{sandbox.url}/openai/v1", max_retries=0) as client:
        yield client


def read(client: OpenAI, text: str, **options: Any) -> Any:
    message = {"role": "user", "content": f"<message>{text}</message>"}
    return client.responses.parse(
        model="gpt-5-mini", instructions="Read the reply.", input=[message], text_format=Reading, store=False, **options
    )


def test_a_schema_is_filled_with_what_the_text_says(client: OpenAI) -> None:
    found = read(client, "Yes, still looking, budget $450,000, we want to buy in 3 months").output_parsed
    assert found == Reading(
        intent="interested", sentiment="positive", suppress=False, confidence=0.9, budget_usd=450_000,
        timeline_months=3, side="buying",
        budget_sentence="Yes, still looking, budget $450,000, we want to buy in 3 months",
    )  # fmt: skip


def test_what_the_text_does_not_say_is_null(client: OpenAI) -> None:
    found = read(client, "STOP").output_parsed
    assert (found.intent, found.suppress, found.sentiment) == ("opt_out", True, "negative")
    assert (found.budget_usd, found.timeline_months, found.side, found.budget_sentence) == (None, None, None, None)


@pytest.mark.parametrize(
    ("intent", "words"),
    [(intent, words) for by_intent in sentences().values() for intent, many in by_intent.items() for words in many],
)
def test_it_knows_what_the_sandboxs_own_people_mean(intent: str, words: str) -> None:
    assert read_intent(words) == intent


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_intent_has_words_in_both_languages(language: str) -> None:
    assert set(sentences()[language]) == set(WEIGHTS)


@pytest.mark.parametrize(
    ("words", "intent"),
    [("Please take me off your list!!", "opt_out"), ("can I stop by at 5?", "appointment"),
     ("who is this", "wrong_number"),
     ("Are there good bakeries?", "question"), ("hmm", "other"), ("déjenme en paz, no me escriban", "opt_out")],
)  # fmt: skip
def test_other_words_go_by_patterns(words: str, intent: str) -> None:
    assert read_intent(words) == intent


def test_usage_ids_and_rate_headers_are_there(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="gpt-5-mini", input="hello " * 2_000)
    answer = raw.parse()
    assert raw.headers["x-request-id"] and raw.headers["x-ratelimit-remaining-requests"]
    usage = answer.usage
    assert usage is not None
    assert usage.input_tokens > 1_024 and usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert 0 < usage.input_tokens_details.cached_tokens <= usage.input_tokens
    assert usage.output_tokens_details.reasoning_tokens == 0
    assert (answer.status, answer.model) == ("completed", "gpt-5-mini")
    assert answer.output_text


def test_store_and_metadata_come_back(client: OpenAI) -> None:
    answer = client.responses.create(model="m", input="x", store=False, metadata={"run": "1"})
    assert answer.metadata == {"run": "1"}


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [("openai_429", openai.RateLimitError, "rate_limit_exceeded"),
     ("openai_quota", openai.RateLimitError, "insufficient_quota"),
     ("openai_500", openai.InternalServerError, None)],
)  # fmt: skip
def test_failures_have_the_vendors_bodies(
    sandbox: Any, client: OpenAI, fault: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    sandbox.control.set_faults({fault: 1.0})
    with pytest.raises(error) as caught:
        read(client, "hi")
    assert caught.value.code == code


def test_the_sdk_tries_again_by_itself(sandbox: Any, client: OpenAI) -> None:
    sandbox.control.set_faults({"openai_500": {"times": 1}})
    assert read(client.with_options(max_retries=1), "STOP").output_parsed.intent == "opt_out"


def test_a_wrong_key_and_missing_parts_are_refused(sandbox: Any, client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        read(client.with_options(api_key="sk-wrong"), "hi")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="", input="x")
    assert caught.value.param == "model"


def test_a_reasoning_model_takes_no_temperature(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        read(client, "hi", temperature=0.2)
    assert (caught.value.code, caught.value.param) == ("unsupported_value", "temperature")
    assert client.responses.create(model="gpt-4.1", input="x", temperature=0.2).status == "completed"


def test_a_schema_that_is_not_strict_enough_is_refused(sandbox: Any, client: OpenAI) -> None:
    form: Any = {"type": "json_schema", "name": "x", "strict": True,
                 "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}}  # fmt: skip
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input="x", text={"format": form})
    assert caught.value.code == "invalid_json_schema"


def test_a_refusal_parses_to_none(sandbox: Any, client: OpenAI) -> None:
    sandbox.control.set_faults({"openai_refusal": 1.0})
    answer = read(client, "hi")
    assert answer.output_parsed is None
    assert answer.output[0].content[0].type == "refusal"


def test_output_that_is_cut_off_makes_parse_raise(sandbox: Any, client: OpenAI) -> None:
    sandbox.control.set_faults({"openai_cut": 1.0})
    with pytest.raises(pydantic.ValidationError):
        read(client, "hi")
    answer = client.responses.create(model="m", input="hi", max_output_tokens=100)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_body_that_is_no_json_and_an_empty_object(sandbox: Any, client: OpenAI) -> None:
    sandbox.control.set_faults({"openai_garbage": 1.0})
    with pytest.raises(json.JSONDecodeError):
        client.responses.create(model="m", input="hi")
    sandbox.control.set_faults({"openai_empty": 1.0})
    assert client.responses.create(model="m", input="hi").id is None


def test_a_hanging_answer_runs_into_the_timeout(sandbox: Any, client: OpenAI) -> None:
    sandbox.control.set_faults({"openai_hang": {"value": 1}})
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).responses.create(model="m", input="hi")


def test_moderation_flags_nothing_and_models_are_listed(client: OpenAI) -> None:
    answer = client.moderations.create(model="omni-moderation-latest", input=["a", "b"])
    assert [row.flagged for row in answer.results] == [False, False]
    assert [model.id for model in client.models.list()] == ["gpt-5-mini"]
    assert client.models.retrieve("gpt-5-mini").owned_by == "sandbox"
