"""What a reply means: rules first, then the local model.

What lives here: the reading of one text and how rule and probability are weighed. What does not: the patterns
(``optout``), the model (``local_model``), the outside reader (``openai_reader``), effects (``reading``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from leadpipe.conversation import local_model, phrases
from leadpipe.conversation.optout import Words, read_words
from leadpipe.conversation.plain import plain

SUPPRESSING = frozenset({"opt_out", "wrong_number", "complaint"})
# Revoked when the three refusals together reach this: a missed refusal is worse than a human's second look (C6).
SUPPRESS_FROM = 0.45
# After words like "don't stop sending" only near certainty counts.
SUPPRESS_FROM_DESPITE = 0.9
# From here on a person looks before anything more is sent. In ten-fold cross-validation of the training sentences the
# rules and the threshold above find 95 % of refusals, those and this band 98 %.
DOUBT_FROM = 0.2
_INTENT_OF = {"stop": "opt_out", "wrong_number": "wrong_number", "complaint": "complaint"}
_WARM = re.compile(
    r"\b(thank you so much|love|loved|great|awesome|amazing|perfect|wonderful|excellent|fantastic|appreciate|excited|"
    r"encanta\w*|excelente|perfecto|maravillos\w*|muy amable|genial)\b"
)
_YES = re.compile(r"\b(yes|yep|yup|yeah|sure|absolutely|definitely|si|claro|very interested|of course)\b")
_COLD = re.compile(
    r"\b(hate|terrible|horrible|awful|worst|angry|upset|annoy\w*|ridiculous|stupid|rude|disgust\w*|scam\w*|ugh|fuck\w*|"
    r"insane|tired of|sick of|damn|wtf|shit|liar\w*|acoso|pesimo|molest\w*|hart[oa]|harass\w*|spam\w*|illegal\w*|fcc|"
    r"ftc|report(ing|ed)? (you|this)|(file|filing|filed) a complaint|lawsuit|su(e|ing) you|denunciar\w*)\b"
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one text means.

    Attributes:
        suppress: the person must not be contacted by that channel any more.
        sentiment: ``positive``, ``neutral`` or ``negative``.
        confidence: 0 to 1; 1 for a keyword.
        refusal_probability: how likely the model takes it for a refusal; 0 where a rule or another reader read it.
        reader: ``keyword``, ``phrase``, ``local:<version>`` or ``openai:<model>``.
    """

    intent: str
    suppress: bool
    sentiment: str
    confidence: float
    reader: str
    refusal_probability: float = 0.0

    @property
    def is_doubtful(self) -> bool:
        """Whether it may be a refusal all the same (C6: unsure goes to a person)."""
        return not self.suppress and self.refusal_probability >= DOUBT_FROM


def classify_many(texts: Sequence[str]) -> list[Reading]:
    """A reading for each text, in order."""
    readings = [by_rule(text) for text in texts]
    open_at = [index for index, reading in enumerate(readings) if reading is None]
    if open_at:
        model = local_model.load()
        rows = model.probabilities([texts[index] for index in open_at])
        for index, row in zip(open_at, rows, strict=True):
            readings[index] = _by_model(texts[index], row, model.version)
    return [reading for reading in readings if reading is not None]


def by_rule(text: str) -> Reading | None:
    """The reading of a text that the rules understand; None leaves it to a model."""
    if not text.strip():
        return Reading(intent="other", suppress=False, sentiment="neutral", confidence=1.0, reader="keyword")
    words = read_words(text)
    if words is None or words.kind in {"start", "help"}:
        return None
    return reading_of(words, text)


def reading_of(words: Words, text: str) -> Reading:
    """The reading that a refusal's words stand for."""
    intent = _INTENT_OF.get(words.kind, "other")
    is_keyword = words.source == "stop_keyword"
    return Reading(
        intent=intent,
        suppress=intent in SUPPRESSING,
        sentiment=sentiment_of(text, intent),
        confidence=1.0 if is_keyword else 0.97,
        reader="keyword" if is_keyword else "phrase",
    )


def sentiment_of(text: str, intent: str) -> str:
    """The tone of the words; a plain STOP is neutral, a complaint is not."""
    words = plain(text)
    if intent == "complaint" or _COLD.search(words) or _is_shouted(text):
        return "negative"
    is_yes = intent == "interested" and (_YES.search(words) is not None or "!" in text)
    if is_yes or (_WARM.search(words) and intent not in SUPPRESSING | {"not_interested"}):
        return "positive"
    return "neutral"


def _is_shouted(text: str) -> bool:
    return text.count("!") > 2 or (text.isupper() and len(text.split()) > 2)


def suppress_probability(row: dict[str, float]) -> float:
    """How likely the text is one of the three refusals."""
    return sum(row.get(intent, 0.0) for intent in SUPPRESSING)


def _by_model(text: str, row: dict[str, float], version: str) -> Reading:
    refusal = suppress_probability(row)
    is_look_alike = phrases.says(plain(text), phrases.NOT_A_REFUSAL)
    suppress = refusal >= (SUPPRESS_FROM_DESPITE if is_look_alike else SUPPRESS_FROM)
    among = {name: value for name, value in row.items() if (name in SUPPRESSING) == suppress}
    intent = max(among, key=lambda name: among[name])
    return Reading(
        intent=intent,
        suppress=suppress,
        sentiment=sentiment_of(text, intent),
        confidence=round(among[intent], 3),
        reader=f"local:{version}",
        refusal_probability=round(refusal, 3),
    )
