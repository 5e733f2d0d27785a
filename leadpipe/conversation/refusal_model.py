"""How likely a text refuses further contact: a logistic regression of its own beside the reader of intents.

What lives here: its features, its training and its probability. What does not: rules (``optout``), intents
(``local_model``), which probability suffices (``classify``).

It sees words and letters, the parts that words play (``word_parts``), and what the stock phrases and look-alikes say,
so that a phrase hit among words that have nothing to do with contact counts less. It learns from all sentences, those
of the intents and those written for it (``sentences/refusals.yaml``). It is trained when first used, in about three
seconds, and seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from leadpipe.conversation import local_model, phrases
from leadpipe.conversation.lookalikes import set_aside
from leadpipe.conversation.plain import plain
from leadpipe.conversation.word_parts import part_of, parts_of

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

REFUSALS = frozenset({"opt_out", "wrong_number", "complaint"})
# In a long mail only its beginning speaks to us.
LONGEST = 600
# Weight of the four kinds of features, and the regression's C; all by grouped cross-validation.
_WEIGHTS = {"words": 1.0, "letters": 0.8, "parts": 1.0, "phrases": 0.2}
_C = 8.0
# Wrong numbers and complaints are few among the sentences.
_RARE = 2.0
_PHRASES = (
    ("opt_out", phrases.OPT_OUT),
    ("wrong_number", phrases.WRONG_NUMBER),
    ("complaint", phrases.COMPLAINT),
    ("not_so", phrases.NOT_A_REFUSAL),
)
_ABOUT_ELSE = frozenset({"home", "meet", "when", "other"})


class RefusalModel:
    """The trained regression."""

    def __init__(self, views: dict[str, Any], regression: LogisticRegression) -> None:
        self._views = views
        self._regression = regression

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """How likely each text refuses, 0 to 1, in order."""
        if not texts:
            return []
        rows = self._regression.predict_proba(_matrix(self._views, texts, learns=False))
        return [float(row[1]) for row in rows]


@lru_cache(maxsize=1)
def load() -> RefusalModel:
    """The model of this process, trained once."""
    pairs = (*local_model.sentences(), *local_model.refusal_sentences())
    return train(pairs)


def train(pairs: Sequence[tuple[str, str]]) -> RefusalModel:
    """A model of these sentences, each with its intent."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    # scikit-learn's stubs know neither an analyzer that is a function nor a norm that is none.
    tfidf: Any = TfidfVectorizer
    views = {
        "words": tfidf(analyzer="word", ngram_range=(1, 3), sublinear_tf=True, token_pattern=local_model.WORD),
        "letters": tfidf(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
        "parts": tfidf(analyzer=_as_is, sublinear_tf=True, min_df=2),
        "phrases": tfidf(analyzer=_as_is, binary=True, use_idf=False, norm=None),
    }
    regression = LogisticRegression(C=_C, solver="liblinear", random_state=local_model.SEED)
    regression.fit(
        _matrix(views, [text for text, _ in pairs], learns=True),
        [intent in REFUSALS for _, intent in pairs],
        sample_weight=[_RARE if intent in {"wrong_number", "complaint"} else 1.0 for _, intent in pairs],
    )
    return RefusalModel(views, regression)


def _matrix(views: dict[str, Any], texts: Sequence[str], *, learns: bool) -> Any:
    from scipy.sparse import hstack

    read = [set_aside(plain(text)[:LONGEST]) for text in texts]
    words = [local_model.marked(masked, text) for masked, text in zip(read, texts, strict=True)]
    documents: dict[str, list[Any]] = {
        "words": words,
        "letters": words,
        "parts": [_grams(masked) for masked in read],
        "phrases": [_said(masked) for masked in read],
    }
    blocks = [
        (view.fit_transform(documents[name]) if learns else view.transform(documents[name])) * _WEIGHTS[name]
        for name, view in views.items()
    ]
    return hstack(blocks).tocsr()


def _as_is(tokens: list[str]) -> list[str]:
    return tokens


def _grams(words: str) -> list[str]:
    """Parts in their order: one to four in a row, with gaps, without the words that play no part, and beside a word."""
    named = words.split()
    parts = ["<", *parts_of(words), ">"]
    core = [part for part in parts if part != "x"]
    found = [" ".join(parts[at : at + size]) for size in (1, 2, 3, 4) for at in range(len(parts) - size + 1)]
    found += ["~" + " ".join(core[at : at + size]) for size in (2, 3) for at in range(len(core) - size + 1)]
    found += ["_" * gap + f"{parts[at]} {parts[at + gap]}" for gap in (2, 3) for at in range(len(parts) - gap)]
    for left, right in zip(named, named[1:], strict=False):
        found += [f"left:{left} {part_of(right)}", f"right:{part_of(left)} {right}"]
    return found


def _said(words: str) -> list[str]:
    """Which stock phrases hit, and among how many words that play no part in them."""
    hits = [name for name, patterns in _PHRASES if phrases.says(words, patterns)]
    parts = parts_of(words)
    has_refusal = any(name != "not_so" for name in hits)
    size = f"size{min(6, len(parts) // 3)}"
    counted = {
        "unknown": min(4, sum(part == "x" for part in parts)),
        "else": min(3, sum(part in _ABOUT_ELSE for part in parts)),
        "aside": min(2, sum(part.startswith("z") for part in parts)),
    }
    return [
        *hits,
        *(["+".join(hits)] if len(hits) > 1 else []),
        size,
        f"{has_refusal} {size}",
        *(f"{has_refusal} {name}{count}" for name, count in counted.items()),
    ]
