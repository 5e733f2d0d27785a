"""The answers that rules build: fixed words around facts of the ledger.

What lives here: choosing and filling the words of ``answers.yaml``, the lead's language, the frame of a text or an
email. What does not: words by a model (``openai_writer``), whether they may go (``policy``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from leadpipe.conversation.plain import plain
from leadpipe.outreach.template_sources import tail_source
from leadpipe.outreach.templates import email_text
from leadpipe.store.inputs import Input

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

    from leadpipe.outreach.facts import Known

_SPANISH = frozenset(
    "el la los las un una de que no si ya me mi su es esta estoy quiero busco gracias por para favor casa cuando "
    "cuanto "
    "donde como puedo tengo hola buenas comprar vender interesa todavia mas mas. tarde ayuda usted ustedes".split()
)
_ENGLISH = frozenset(
    "the a an of to is it i you we my your are do does can not no yes still please thanks thank what when how much "
    "where "
    "home house buy sell looking for in me us our".split()
)
_PRICE = re.compile(r"\b(how much|(asking |list )?price|cost|cuanto (cuesta|vale|piden)|precio)\b")
_OF_SOMETHING_ELSE = re.compile(r"\b(hoa|tax\w*|fee|fees|insurance|utilities|closing|impuestos?|cuota|my|our|mi)\b")
_MARKET = re.compile(
    r"\b(market|(home )?prices? (going|doing|rising|falling)|values|mercado|precios? (estan|suben|bajan))\b"
)
STOP_HINT = {"en": "Reply STOP to opt out.", "es": "Responda STOP para no recibir más."}


def language_of(text: str, fallback: str = "en") -> str:
    """``es`` or ``en``, by the lead's own words; ``fallback`` when they do not tell."""
    words = plain(text).replace(".", " ").replace("?", " ").split()
    spanish, english = (sum(word in known for word in words) for known in (_SPANISH, _ENGLISH))
    if "¿" in text or "¡" in text or re.search(r"[ñáíóú]", text.lower()):
        spanish += 1
    return fallback if spanish == english else "es" if spanish > english else "en"


def choose(key: str, text: str, known: Known, market: str) -> str:
    """The answer to give: a question about the price or the market is answered when the ledger holds the fact."""
    if key != "question":
        return key
    words = plain(text)
    home = known.row.property or {}
    if _PRICE.search(words) and not _OF_SOMETHING_ELSE.search(words) and home.get("price_usd") and home.get("street"):
        return "price"
    return "market" if market and _MARKET.search(words) else key


def words_of(key: str, language: str, variables: Mapping[str, Any], *, source: str = "") -> str:
    """The words of one answer; ``source`` is another text of ``answers.yaml`` than today's."""
    entry = _texts(source)[key]
    template = _environment().from_string(entry.get(language) or entry["en"])
    return " ".join(template.render(variables).split())


def next_question(known: Known, told: Collection[str], language: str) -> str:
    """What to ask next, in words; empty when everything is known. ``told`` are families told in this turn."""
    facts = known.facts
    side = "sell" if known.side == "sell" else "buy"
    open_questions = (
        ("side", "knows_side", "side"),
        ("timeline", "knows_timeline", f"timeline_{side}"),
        ("place", "knows_place", f"place_{side}"),
        ("budget", "knows_budget", f"budget_{side}"),
    )
    questions = _texts()["questions"]
    for family, fact, name in open_questions:
        if family not in told and fact not in facts and name in questions:
            return str(questions[name][language])
    return ""


def as_text(words: str, *, assistant: str, brokerage: str, language: str, has_hint: bool, licence: str = "") -> str:
    """A text message: the words, who writes them, and how to stop when that was not said lately (C28, C40, C42)."""
    signed = f"{words} - {assistant}, {brokerage}" + (f" ({licence})" if licence else "")
    return f"{signed}. {STOP_HINT[language]}" if has_hint else signed


def framed(words: str, channel: str, frame: Mapping[str, Any], *, tail: str | None = None) -> str:
    """The body of an answer: its words in the frame of the channel; ``frame`` is kept with the message.

    Args:
        words: what is said.
        channel: the lead's.
        frame: an email's variables, or the arguments of ``as_text``.
        tail: an email's tail; None takes today's file.
    """
    return as_email(words, frame, tail=tail) if channel == "email" else as_text(words, **frame)


def as_email(words: str, variables: Mapping[str, Any], *, tail: str | None = None) -> str:
    """An email's text part: greeting, words, tail."""
    hello = "Hola" if variables["language"] == "es" else "Hi"
    name = variables["first_name"]
    greeting = f"{hello} {name}," if name != "there" else ("Hola:" if hello == "Hola" else "Hello,")
    return email_text(f"{greeting}\n\n{words}", {**variables, "listings": []}, tail=tail)


def version(language: str) -> str:
    """Names the words, and the tail of an email in this language, in the evidence of a message."""
    return hashlib.sha256(_content(language).encode()).hexdigest()[:12]


def as_input(language: str) -> Input:
    """The words of all answers and the tail of an email, as they are kept with the messages made of them."""
    return Input(kind="answers", version=version(language), name="answers", content=_content(language))


def _content(language: str) -> str:
    return json.dumps({"answers": _source(), "tail": tail_source(language)}, ensure_ascii=False, indent=1)


@lru_cache(maxsize=1)
def _source() -> str:
    return (files("leadpipe.conversation") / "answers.yaml").read_text(encoding="utf-8")


@lru_cache(maxsize=4)
def _texts(source: str = "") -> dict[str, Any]:
    import yaml

    return yaml.safe_load(source or _source())


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined)
