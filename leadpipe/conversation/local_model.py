"""The local reader of intents: a small scikit-learn model, trained from the sentences when first used.

What lives here: the sentences, features, training, probabilities. What does not: rules (``optout``), whether a text
refuses (``refusal_model``), what a probability leads to (``classify``).

Training takes a second, so the model lives in memory and is no file that could be stale or unsafe to load; it is
seeded, and its version is the hash of the sentences and of the library's version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from leadpipe.conversation.plain import plain
from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

INTENTS = (
    "opt_out", "wrong_number", "complaint", "not_interested", "later", "interested", "appointment", "question",
    "has_agent", "human", "other",
)  # fmt: skip
SEED = 7
WORD = r"[^\s.?]+"
# A sentence that was chosen to show an intent counts as this many of those chosen for refusals.
_CHOSEN = 8.0


class LocalModel:
    """A trained reader."""

    def __init__(self, pipeline: Pipeline, version: str) -> None:
        self._pipeline = pipeline
        self.version = version

    def probabilities(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """The probability of each intent, text by text; each row sums to one."""
        if not texts:
            return []
        rows = self._pipeline.predict_proba([words_of(text) for text in texts])
        names = [str(name) for name in self._pipeline.classes_]
        return [dict(zip(names, (float(value) for value in row), strict=True)) for row in rows]


def words_of(text: str) -> str:
    """What the model sees: plain words, figures as one sign each kind, first and last word marked."""
    return marked(plain(text), text)


def marked(words: str, text: str) -> str:
    """Plain words with figures as one sign each kind, first and last word marked; ``text`` is where they come from."""
    words = re.sub(r"\$ ?\d[\d ]*k?|\b\d{2,4} ?(k|mil|thousand)\b", " moneyfig ", words[:400])
    words = re.sub(r"\b\d{1,2}( \d{2})? ?(am|pm)\b|\b\d{1,2} \d{2}\b", " clockfig ", words)
    words = re.sub(r"\b\d{5}\b", " zipfig ", words)
    words = re.sub(r"\b\d+\b", " fig ", words)
    if "?" in text or "¿" in text:
        words += " askmark"
    return f"firstword {words.strip() or _marks(text)} lastword"


def _marks(text: str) -> str:
    """A message without a word: only emoji or marks."""
    if any(letter in text for letter in "👎"):
        return "thumbsdown"
    return "nowords"


@lru_cache(maxsize=1)
def sentences() -> tuple[tuple[str, str], ...]:
    """Sentences chosen to show each intent, as (text, intent)."""
    return _pairs("train.yaml")


@lru_cache(maxsize=1)
def refusal_sentences() -> tuple[tuple[str, str], ...]:
    """Sentences chosen to tell refusals from what only sounds like one, as (text, intent)."""
    return _pairs("refusals.yaml")


def reply_sentences() -> tuple[tuple[str, str], ...]:
    """Replies that several people wrote for the refusal model, as (text, ``opt_out`` or ``other``)."""
    return _pairs("replies.yaml")


def _pairs(name: str) -> tuple[tuple[str, str], ...]:
    import yaml

    data = yaml.load(_source(name), Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)  # noqa: S506
    pairs = tuple((str(text), str(intent)) for intent, texts in data.items() for text in texts)
    unknown = {intent for _, intent in pairs} - set(INTENTS)
    if unknown:
        raise ConfigurationError(f"sentences/{name} has unknown intents: {', '.join(sorted(unknown))}")
    return pairs


def _source(name: str) -> str:
    return (files("leadpipe.conversation") / "sentences" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def load() -> LocalModel:
    """The model of this process, trained once."""
    import sklearn
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import FeatureUnion, Pipeline

    pairs = (*sentences(), *refusal_sentences())
    every_round: Any = None  # no early end; the stubs know only figures
    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(analyzer="word", ngram_range=(1, 3), sublinear_tf=True, token_pattern=WORD)),
            ("letters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)),
        ],
        transformer_weights={"words": 1.0, "letters": 0.8},
    )
    pipeline = Pipeline(
        [
            ("features", features),
            (
                "intent",
                SGDClassifier(
                    loss="log_loss", alpha=8e-5, max_iter=40, tol=every_round, class_weight="balanced",
                    average=True, random_state=SEED,
                ),
            ),
        ]
    )  # fmt: skip
    weights = [_CHOSEN if at < len(sentences()) else 1.0 for at in range(len(pairs))]
    pipeline.fit([words_of(text) for text, _ in pairs], [intent for _, intent in pairs], intent__sample_weight=weights)
    digest = hashlib.sha256(
        f"{_source('train.yaml')}{_source('refusals.yaml')}{sklearn.__version__}".encode()
    ).hexdigest()[:8]
    return LocalModel(pipeline, digest)
