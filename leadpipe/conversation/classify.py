"""What a reply means: rules first, then the local models.

What lives here: the reading of one text and how rule and probability are weighed. What does not: the patterns
(``optout``), the models (``refusal_model`` whether it refuses, ``local_model`` the intent), the outside reader
(``openai_reader``), effects (``reading``).

A keyword is a refusal, and so is a stock phrase among nothing but words of its kind. Everything else is one from
``SUPPRESS_FROM`` on; a phrase among other words says which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leadpipe.conversation import local_model, refusal_model
from leadpipe.conversation.optout import Words, read_words
from leadpipe.conversation.plain import plain
from leadpipe.conversation.quoting import own_words

SUPPRESSING = refusal_model.REFUSALS
# Revoked from here on, and a person is told: a missed refusal is worse than a human's second look (C6).
SUPPRESS_FROM = 0.3
# Who is as angry as that is left alone by the machine, whatever it is about: the reader of intents knows complaints.
COMPLAINT_FROM = 0.7
ANGER_FROM = 0.3
# Against another reader only near certainty counts.
SUPPRESS_FROM_DESPITE = 0.9
# From here on a person looks before anything more is sent.
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
        refusal_probability: how likely the model takes it for a refusal; 0 where it was not asked.
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
    """A reading for each text, in order; what a text quotes does not count."""
    own = [own_words(text) for text in texts]
    found = [_words_of(text) for text in own]
    open_at = [index for index, words in enumerate(found) if own[index].strip() and not _is_sure(words)]
    judged = dict(zip(open_at, _by_models([own[at] for at in open_at], [found[at] for at in open_at]), strict=True))
    return [judged.get(at) or _by_rule(words, own[at]) for at, words in enumerate(found)]


def refusal_in(text: str) -> Words | None:
    """A refusal by rule: certain in itself, or one that the model does not deny."""
    own = own_words(text)
    words = _words_of(own)
    if words is None or _is_sure(words):
        return words
    return words if refusal_model.load().probabilities([own])[0] >= SUPPRESS_FROM else None


def _words_of(text: str) -> Words | None:
    """Words of refusing; START and HELP are none."""
    words = read_words(text)
    return words if words is not None and words.kind in _INTENT_OF else None


def _is_sure(words: Words | None) -> bool:
    return words is not None and words.is_certain


def _by_rule(words: Words | None, text: str) -> Reading:
    if words is None:
        return Reading(intent="other", suppress=False, sentiment="neutral", confidence=1.0, reader="keyword")
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


def _by_models(texts: Sequence[str], found: Sequence[Words | None]) -> list[Reading]:
    if not texts:
        return []
    model = local_model.load()
    likely = refusal_model.load().probabilities(texts)
    rows = model.probabilities(texts)
    return [
        _by_model(text, words, refusal, row, model.version)
        for text, words, refusal, row in zip(texts, found, likely, rows, strict=True)
    ]


def _by_model(text: str, words: Words | None, refusal: float, row: dict[str, float], version: str) -> Reading:
    if words is not None and refusal >= SUPPRESS_FROM:
        return replace(reading_of(words, text), refusal_probability=round(refusal, 3))
    suppress = refusal >= SUPPRESS_FROM or row["complaint"] >= COMPLAINT_FROM
    among = {name: value for name, value in row.items() if (name in SUPPRESSING) == suppress}
    intent = max(among, key=lambda name: among[name])
    share = among[intent] / (sum(among.values()) or 1.0)
    return Reading(
        intent=intent,
        suppress=suppress,
        sentiment=sentiment_of(text, intent),
        confidence=round(max(refusal, row["complaint"]) if suppress else (1 - refusal) * share, 3),
        reader=f"local:{version}",
        # A stock phrase that the model denies is looked at by a person, and so is anger.
        refusal_probability=round(max(refusal, DOUBT_FROM) if words or row["complaint"] >= ANGER_FROM else refusal, 3),
    )
