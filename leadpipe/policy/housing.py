"""Whether words prefer, exclude or steer somebody by a protected class, as learnt from sentences (C36).

What lives here: what is seen of words and the sum of what each sight weighs. What does not: the list of phrases beside
it (a policy pack's ``content``), the weights (a file that the pack names), their training (``housing_training``).

A list of phrases finds what somebody thought of: of sentences by writers who had not seen ours, one in eight. This
finds most of the others. It is a logistic regression over words, their stems and pairs of them, kept as a readable
file, so that anybody can look up which words told it, and it needs no library to be read.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from leadpipe.policy.legible import legible

# In a stem so many letters: "family" and "families" share one.
STEM = 5
_TOKEN = re.compile(r"[a-z]+|\d+")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
# In the place of a word that stands in no feature.
UNKNOWN = "_"


class HousingModel:
    """Trained weights.

    Args:
        weights: of each feature (``features_of``).
        bias: added to their sum.
        trained_on: digest of the sentences and the code they were learnt from.
    """

    def __init__(self, weights: Mapping[str, float], bias: float, trained_on: str) -> None:
        self.weights, self.bias, self.trained_on = weights, bias, trained_on
        # What stands in no feature changes nothing: words that differ in names alone are one to the cache.
        self._known = {part for feature in weights for part in feature.split(" ")}
        self._score = lru_cache(maxsize=65536)(self._sum)

    def probability(self, words: str) -> float:
        """How likely the worst sentence of these words may not be said: 0 to 1.

        Each is read for itself: what is said beside it makes no sentence better.
        """
        parts = [tokens_of(part) for part in _SENTENCE.split(words)]
        return max((self._score(self._seen(part)) for part in parts if part), default=0.0)

    def as_text(self) -> str:
        """The file that ``from_text`` reads: a feature a line, the same model in the same bytes."""
        lines = [f"{json.dumps(name, ensure_ascii=False)}: {value}" for name, value in sorted(self.weights.items())]
        told = f'"trained_on": {json.dumps(self.trained_on)},\n"bias": {self.bias},\n"weights": {{\n'
        return "{\n" + told + ",\n".join(lines) + "\n}}\n"

    @staticmethod
    def from_text(text: str) -> HousingModel:
        """The model of ``as_text``.

        Raises:
            ValueError: it is none.
        """
        try:
            found = json.loads(text)
            weights = {str(name): float(value) for name, value in found["weights"].items()}
            return HousingModel(weights, float(found["bias"]), str(found["trained_on"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no weights: {error}") from error

    def _seen(self, tokens: Sequence[str]) -> tuple[str, ...]:
        known = self._known
        return tuple(
            token if token in known else f"={stem}" if f"={(stem := token[:STEM])}" in known else UNKNOWN
            for token in tokens
        )

    def _sum(self, seen: tuple[str, ...]) -> float:
        weights = self.weights
        total = self.bias + sum(weights.get(feature, 0.0) for feature in features_of(seen))
        # A thousand plain words without a full stop weigh so little that the exponential would overflow.
        return 1 / (1 + math.exp(min(-total, 100.0)))


def tokens_of(words: str) -> list[str]:
    """Words in lower case without accents and apostrophes; every figure is ``0``."""
    text = legible(words).lower().replace("'", "").replace("\u2019", "")
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return ["0" if token[0].isdigit() else token for token in _TOKEN.findall(text)]


def features_of(tokens: Sequence[str]) -> set[str]:
    """What is seen of words, each once: words, up to three in a row, the same of their stems, and stems around a gap.

    A token that begins with ``=`` is a stem already.
    """
    words = ["<", *tokens, ">"]
    stems = [word if word.startswith("=") else f"={word[:STEM]}" for word in words]
    found = {*words, *stems}
    for size in (2, 3):
        for at in range(len(words) - size + 1):
            found.add(" ".join(words[at : at + size]))
            found.add(" ".join(stems[at : at + size]))
    found |= {f"{left} * {right}" for left, right in zip(stems, stems[2:], strict=False)}
    return found
