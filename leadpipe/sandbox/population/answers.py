"""What a person does about a message: nothing, an answer, two in a row, a complaint, the unsubscribe link.

What lives here: the dice over behaviour, and the words. What does not: carrying it out (``crowd``).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

# How those who answer answer, in hundredths.
WEIGHTS = {
    "interested": 21, "question": 15, "later": 11, "appointment": 8, "not_interested": 9, "opt_out": 17, "has_agent": 5,
    "human": 4, "wrong_number": 4, "complaint": 2, "other": 4,
}  # fmt: skip
STOPPERS = frozenset({"opt_out", "wrong_number", "complaint"})
# What else may become of a mail that is not answered, as shares.
FOLLOWS_LINK, MARKS_SPAM, IS_AWAY = 0.02, 0.006, 0.02
SECOND_AFTER = 0.1


@dataclass(frozen=True, kw_only=True)
class Said:
    """One thing to say, so many seconds after the message came."""

    intent: str
    words: str
    after_seconds: float


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """What somebody will do: say things, or one of the silent acts ``unsubscribe``, ``spam``, ``away``."""

    says: tuple[Said, ...] = ()
    act: str = ""
    after_seconds: float = 0.0


@lru_cache(maxsize=1)
def sentences() -> dict[str, dict[str, list[str]]]:
    """Everything people write: language -> intent -> sentences."""
    text = (files("leadpipe.sandbox") / "sentences.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@lru_cache(maxsize=1)
def meanings() -> dict[str, str]:
    """The intent of each sentence, in lower case."""
    return {
        words.lower().strip(): intent
        for by_intent in sentences().values()
        for intent, many in by_intent.items()
        for words in many
    }


def react(dice: random.Random, *, channel: str, share: float, speaks_spanish: bool, pace: float) -> Reaction:
    """What this person does about this message; ``share`` is how likely an answer is at all."""
    after = dice.uniform(2, 18) * pace
    if dice.random() >= share:
        if channel != "email":
            return Reaction()
        roll = dice.random()
        for act, chance in (("unsubscribe", FOLLOWS_LINK), ("spam", MARKS_SPAM), ("away", IS_AWAY)):
            if roll < chance:
                return Reaction(act=act, after_seconds=after)
            roll -= chance
        return Reaction()
    language = "es" if speaks_spanish and dice.random() < 0.8 else "en"
    intent = dice.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))[0]
    first = Said(intent=intent, words=dice.choice(sentences()[language][intent]), after_seconds=after)
    if dice.random() >= SECOND_AFTER or intent in STOPPERS:
        return Reaction(says=(first,), after_seconds=after)
    other = "interested" if intent == "question" else "question"
    words = dice.choice(sentences()[language][other])
    second = Said(intent=other, words=words, after_seconds=after + dice.uniform(0.3, 2.0) * pace)
    return Reaction(says=(first, second), after_seconds=after)
