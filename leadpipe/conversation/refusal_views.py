"""What the refusal model sees of a text, as numbers.

What lives here: words and letters, the parts that words play (``word_parts``), and what the stock phrases say. What
does not: weights (``refusal_model``), where they come from (``refusal_training``).

Features are hashed, so that a model is a few arrays of numbers and no list of words; with 2^17 places for each view it
is as good as with a place for each feature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from leadpipe.conversation import local_model, phrases
from leadpipe.conversation.lookalikes import set_aside
from leadpipe.conversation.plain import plain
from leadpipe.conversation.word_parts import part_of, parts_of

if TYPE_CHECKING:
    import numpy as np

# In a long mail only its beginning speaks to us.
LONGEST = 600
_PHRASES = (
    ("opt_out", phrases.OPT_OUT),
    ("wrong_number", phrases.WRONG_NUMBER),
    ("complaint", phrases.COMPLAINT),
    ("not_so", phrases.NOT_A_REFUSAL),
)
_ABOUT_ELSE = frozenset({"home", "meet", "when", "other"})


@dataclass(frozen=True, kw_only=True)
class _Read:
    """One text, read once for all views: its plain words, and those with figures and marks as one sign each."""

    words: str
    marked: str


@dataclass(frozen=True, kw_only=True)
class View:
    """One way of looking at texts.

    Attributes:
        of: what it looks at: a text to be cut into features, or the features.
        cut: how scikit-learn cuts a text; nothing where ``of`` gives features.
        places: how many places its features are hashed into.
        weight: against the other views, by grouped cross-validation.
        is_rated: rare features count more than common ones.
    """

    of: Callable[[_Read], Any]
    cut: Mapping[str, Any]
    places: int
    weight: float
    is_rated: bool = True


def _as_is(features: list[str]) -> list[str]:
    return features


def _grams(read: _Read) -> list[str]:
    """Parts in their order: one to four in a row, with gaps, without the words that play no part, and beside a word."""
    named = read.words.split()
    parts = ["<", *parts_of(read.words), ">"]
    core = [part for part in parts if part != "x"]
    found = [" ".join(parts[at : at + size]) for size in (1, 2, 3, 4) for at in range(len(parts) - size + 1)]
    found += ["~" + " ".join(core[at : at + size]) for size in (2, 3) for at in range(len(core) - size + 1)]
    found += ["_" * gap + f"{parts[at]} {parts[at + gap]}" for gap in (2, 3) for at in range(len(parts) - gap)]
    for left, right in zip(named, named[1:], strict=False):
        found += [f"left:{left} {part_of(right)}", f"right:{part_of(left)} {right}"]
    return found


def _said(read: _Read) -> list[str]:
    """Which stock phrases hit, and among how many words that play no part in them."""
    hits = [name for name, patterns in _PHRASES if phrases.says(read.words, patterns)]
    parts = parts_of(read.words)
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


_BIG, _SMALL = 2**17, 2**12
_WORDS = {"analyzer": "word", "ngram_range": (1, 3), "token_pattern": local_model.WORD}
_LETTERS = {"analyzer": "char_wb", "ngram_range": (2, 5)}
VIEWS: Mapping[str, View] = {
    "words": View(of=lambda read: read.marked, cut=_WORDS, places=_BIG, weight=1.0),
    "letters": View(of=lambda read: read.marked, cut=_LETTERS, places=_BIG, weight=0.8),
    "parts": View(of=_grams, cut={"analyzer": _as_is}, places=_BIG, weight=1.0),
    "phrases": View(of=_said, cut={"analyzer": _as_is, "binary": True}, places=_SMALL, weight=0.2, is_rated=False),
}


def counts_of(texts: Sequence[str]) -> dict[str, Any]:
    """How often each feature stands in each text, by view: sparse matrices, texts down, places across."""
    read = [_read(text) for text in texts]
    return {name: _cutter(name).transform([view.of(one) for one in read]) for name, view in VIEWS.items()}


def matrix_of(counts: Mapping[str, Any], rarity: Mapping[str, np.ndarray]) -> Any:
    """All views beside each other, as the regression reads them.

    Args:
        counts: of ``counts_of``.
        rarity: inverse document frequency of each place, for the views that are rated.
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfTransformer

    blocks: list[Any] = []
    for name, view in VIEWS.items():
        block = counts[name]
        if view.is_rated:
            rating: Any = TfidfTransformer(sublinear_tf=True)
            rating.idf_ = rarity[name]
            block = rating.transform(block)
        blocks.append(block * view.weight)
    return hstack(blocks).tocsr()


def _read(text: str) -> _Read:
    words = set_aside(plain(text)[:LONGEST])
    return _Read(words=words, marked=local_model.marked(words, text))


@cache
def _cutter(name: str) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    view = VIEWS[name]
    # scikit-learn's stubs know neither an analyzer that is a function nor a norm that is none.
    made: Any = HashingVectorizer
    return made(n_features=view.places, norm=None, alternate_sign=False, **view.cut)
