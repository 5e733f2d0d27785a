"""OpenAI's Responses API for structured answers, with the cost of each call.

What lives here: one call, its bounded retries, its errors in our tree, and a pause after the service failed. What does
not: prompts and schemas (``openai_reader``, ``openai_writer``).

What goes out is redacted and carries no address and nothing that says who the lead is (``protected``);
``store=False``, a hash for the person. A model's answer is checked against its schema here and believed only as far as
the caller checks it again. Facts: messaging sheet section 6.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from leadpipe.conversation.protected import without_protected
from leadpipe.conversation.redact import redact
from leadpipe.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.responses import Response

    from leadpipe.settings import Settings

TIMEOUT_SECONDS = 20.0
RETRIES = 2
# Room for a reasoning model's thoughts; the answer itself is short.
MAX_OUTPUT_TOKENS = 3_000
# After a failure the local reader works alone for so long, so that a dead service costs a pass one wait, not fifty.
PAUSE_SECONDS = 60.0
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<![\d$])(?:\+?\d{1,3}[ .-]?)?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}(?!\d)")

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one call cost. ``is_estimate``: its answer was lost and may have been billed."""

    purpose: str
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    is_estimate: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[Shape]):
    """A call that was answered. ``value`` is None when the words did not fit the schema; ``problem`` says how."""

    value: Shape | None
    model: str
    usage: Usage
    problem: str = ""


class OpenAiClient:
    """Structured questions to one model. Used by several threads at once.

    Attributes:
        lost: estimates of calls that got no answer, for the ledger; the caller takes them out.
    """

    def __init__(self, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._paused_until = float("-inf")
        self.lost: list[Usage] = []

    @staticmethod
    def from_settings(settings: Settings) -> OpenAiClient | None:
        """A client when a key is set, else None."""
        return OpenAiClient(settings) if settings.openai_api_key.get_secret_value() else None

    @property
    def is_paused(self) -> bool:
        """Whether the service failed a moment ago."""
        return self._monotonic() < self._paused_until

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(
            api_key=self._settings.openai_api_key.get_secret_value(),
            base_url=self._settings.openai_base_url,
            timeout=TIMEOUT_SECONDS,
            max_retries=RETRIES,
        )

    def ask(self, shape: type[Shape], *, purpose: str, instructions: str, words: str, person_id: int) -> Answer[Shape]:
        """Ask once, with the SDK's bounded retries.

        Args:
            shape: a closed pydantic model without defaults; its schema is what the model must fill.
            purpose: ``read`` or ``draft``, for the books.
            instructions: fixed text, first in the prompt so that it is cached; never a lead's words.
            words: the lead's words and what is known, already delimited (``quoted``).
            person_id: only its hash leaves.

        Raises:
            TransientError: the service does not answer, or answers later than is useful.
            ConfigurationError: key, model, address or account are wrong; a person must act.
        """
        import openai

        try:
            response = self._client.responses.create(
                model=self._settings.openai_model,
                instructions=instructions,
                input=[{"role": "user", "content": words}],
                text={"format": _format(shape)},
                max_output_tokens=MAX_OUTPUT_TOKENS,
                store=False,
                prompt_cache_key=f"leadpipe-{purpose}",
                safety_identifier=hashlib.sha256(f"leadpipe:{person_id}".encode()).hexdigest()[:32],
            )
        except openai.APITimeoutError as error:
            self._book_lost(purpose, instructions + words)
            raise self._failed(TransientError(f"OpenAI: no answer within {TIMEOUT_SECONDS:.0f} s")) from error
        except (openai.APIConnectionError, openai.InternalServerError, openai.ConflictError) as error:
            raise self._failed(TransientError(f"OpenAI: {type(error).__name__}")) from error
        except openai.RateLimitError as error:
            if error.type == "insufficient_quota":
                problem = "OpenAI: the account's quota is used up; add credit or unset LEADPIPE_OPENAI_API_KEY"
                raise self._failed(ConfigurationError(problem)) from error
            raise self._failed(TransientError("OpenAI: rate limit")) from error
        except openai.APIStatusError as error:
            problem = f"OpenAI: HTTP {error.status_code} {error.code or ''}".rstrip()
            names = "LEADPIPE_OPENAI_API_KEY, LEADPIPE_OPENAI_MODEL and LEADPIPE_OPENAI_BASE_URL"
            raise self._failed(ConfigurationError(f"{problem}; check {names}")) from error
        except (openai.OpenAIError, ValueError) as error:
            # A body that is no JSON raises a plain JSONDecodeError (sheet 6.2).
            raise self._failed(TransientError(f"OpenAI: unreadable answer ({type(error).__name__})")) from error
        return self._read(shape, response, purpose)

    def _read(self, shape: type[Shape], response: Response, purpose: str) -> Answer[Shape]:
        """Check the answer; a 200 may hold nothing, a refusal or half a text."""
        model = str(response.model or self._settings.openai_model)
        usage = self._usage(response, purpose, model)
        try:
            words = response.output_text
        except (TypeError, AttributeError):
            words = ""
        if response.status != "completed" or not words:
            return Answer(value=None, model=model, usage=usage, problem=f"status {response.status}, no whole text")
        try:
            return Answer(value=shape.model_validate_json(words), model=model, usage=usage)
        except ValidationError as error:
            return Answer(value=None, model=model, usage=usage, problem=f"{error.error_count()} fields do not fit")

    def _usage(self, response: Response, purpose: str, model: str) -> Usage:
        used = response.usage
        if used is None:
            return self._priced(purpose, model, 0, 0, 0, is_estimate=True)
        cached = used.input_tokens_details.cached_tokens or 0
        return self._priced(purpose, model, used.input_tokens, cached, used.output_tokens, is_estimate=False)

    def _priced(self, purpose: str, model: str, given: int, cached: int, made: int, *, is_estimate: bool) -> Usage:
        prices = self._settings
        cost = (
            (given - cached) * prices.openai_input_usd_per_million
            + cached * prices.openai_cached_usd_per_million
            + made * prices.openai_output_usd_per_million
        ) / 1_000_000
        return Usage(
            purpose=purpose,
            model=model,
            input_tokens=given,
            cached_tokens=cached,
            output_tokens=made,
            cost_usd=cost,
            is_estimate=is_estimate,
        )

    def _book_lost(self, purpose: str, prompt: str) -> None:
        self.lost.append(self._priced(purpose, self._settings.openai_model, len(prompt) // 4, 0, 0, is_estimate=True))

    def _failed(self, error: TransientError | ConfigurationError) -> TransientError | ConfigurationError:
        self._paused_until = self._monotonic() + PAUSE_SECONDS
        return error


def _format(shape: type[BaseModel]) -> Any:
    return {"type": "json_schema", "strict": True, "name": shape.__name__.lower(), "schema": shape.model_json_schema()}


def quoted(text: str, name: str = "message", *, names: Iterable[str] = ()) -> str:
    """Words as data: redacted, without addresses, between marks they cannot close.

    Of a lead's own words (``message``) also what they say about who they are, and their ``names``, is taken out.
    """
    seen = without_protected(text, names=names) if name == "message" else text
    masked = _PHONE.sub("[phone]", _EMAIL.sub("[email]", redact(seen)))
    return f"<{name}>\n{masked.replace('<', '(').replace('>', ')')}\n</{name}>"
