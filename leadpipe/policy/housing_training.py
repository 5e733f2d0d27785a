"""Training what tells forbidden preferences: ``python -m leadpipe.policy.housing_training`` writes the weights.

What lives here: from sentences to weights, seeded, and putting them into force. What does not: what is seen of words
(``housing``), the sentences (``sentences/fair_housing.yaml``, by writers who had seen neither our phrases nor each
other's sentences; the set that measures lies with the tests and nobody who writes rules reads it).

The file is named by its content and a pack names the file, so that a verdict can be repeated under the weights it was
given by: a newer file takes no older one's place.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from leadpipe.policy.housing import UNKNOWN, HousingModel, features_of, tokens_of
from leadpipe.policy.pack_file import CHECKSUMS, FOLDER

SEED = 7
# Of the regression, by leaving each writer out in turn: half or double of it changes little.
_C = 1.0
# What stands in a sentence or two only teaches those.
_FEWEST = 3
# Weights below this decide nothing and are most of the file.
_LEAST = 0.04
_SENTENCES = "fair_housing.yaml"
_CODE = ("housing.py", "legible.py")
# Where a capital letter says nothing: after the end of a sentence, an opening quote or a comma.
_BEGINS = re.compile(r"(?<=[.!?…:;])\s+|\n|[\"“”¿¡(]|, |- ")
_WORD = re.compile(r"[^\W\d_][\w'’]*")
# A word that is written small less often than that share of its capitals is a name.
_SMALL_SHARE = 0.2
Pair = tuple[str, bool]


def sentences() -> list[Pair]:
    """What it learns from: words, and whether they may not be said."""
    data = _data()
    return [(str(words), name == "blocked") for name in ("blocked", "clean") for words in data[name]]


def groups() -> frozenset[str]:
    """Words that are written with a capital and yet name no person or place, but a group, a faith or a programme."""
    return frozenset(token for words in _data()["groups"] for token in tokens_of(words))


@lru_cache(maxsize=1)
def _data() -> dict[str, list[str]]:
    import yaml

    text = (files("leadpipe.policy") / "sentences" / _SENTENCES).read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)  # noqa: S506


def names_in(texts: Iterable[str]) -> set[str]:
    """Tokens that these texts use as names of people and places: a verdict must not depend on who is written to."""
    capital, small, seen = Counter[str](), Counter[str](), set[str]()
    for text in texts:
        for part in _BEGINS.split(text):
            for at, word in enumerate(_WORD.findall(part)):
                tokens = tokens_of(word)
                seen.update(tokens)
                if not word[0].isupper():
                    small.update(tokens)
                elif at:
                    capital.update(tokens)
    return {token for token in seen if small[token] <= _SMALL_SHARE * capital[token]} - groups()


def train(pairs: Sequence[Pair], *, trained_on: str) -> HousingModel:
    """A model of these sentences, blind to names; the same sentences give the same model."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    names = names_in(words for words, _ in pairs)

    def cut(words: str) -> list[str]:
        return sorted(features_of([UNKNOWN if token in names else token for token in tokens_of(words)]))

    made: Any = CountVectorizer  # the stubs know no analyzer that is a function
    counter = made(analyzer=cut, binary=True, min_df=_FEWEST)
    counts = counter.fit_transform([words for words, _ in pairs])
    regression = LogisticRegression(C=_C, solver="liblinear", random_state=SEED)
    regression.fit(counts, [is_blocked for _, is_blocked in pairs])
    coefficients: Any = regression.coef_[0]
    intercept: Any = regression.intercept_
    weights = {
        name: round(float(value), 2)
        for name, value in zip(counter.get_feature_names_out(), coefficients, strict=True)
        if abs(value) >= _LEAST and not _holds_name(name)
    }
    return HousingModel(weights, round(float(intercept[0]), 3), trained_on)


def _holds_name(feature: str) -> bool:
    return any(part.removeprefix("=") == UNKNOWN for part in feature.split(" "))


def digest() -> str:
    """Of the sentences and the code as they are now; a model trained on anything else has another."""
    here = files("leadpipe.policy")
    told = hashlib.sha256()
    for name in (f"sentences/{_SENTENCES}", *_CODE):
        told.update(name.encode() + here.joinpath(name).read_bytes())
    return told.hexdigest()[:16]


def main() -> int:
    """Train on everything, write the weights, and let the newest pack name them."""
    model = train(sentences(), trained_on=digest())
    kept = model.as_text().encode()
    name = f"fair_housing-{hashlib.sha256(kept).hexdigest()[:8]}.json"
    (FOLDER / name).write_bytes(kept)
    newest = sorted(FOLDER.glob("*.yaml"))[-1]
    newest.write_text(re.sub(r"fair_housing-\w+\.json", name, newest.read_text(encoding="utf-8")), encoding="utf-8")
    _list_checksums(FOLDER)
    sys.stdout.write(f"{name}: {len(model.weights)} weights, {len(kept) / 1e6:.2f} MB, named by {newest.name}\n")
    return 0


def _list_checksums(folder: Path) -> None:
    """As ``sha256sum *.json *.yaml`` writes them."""
    paths = [*sorted(folder.glob("*.json")), *sorted(folder.glob("*.yaml"))]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
