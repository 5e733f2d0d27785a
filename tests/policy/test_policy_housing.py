"""What has learnt to tell forbidden preferences (C36): measured by a stranger, blind to names."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from leadpipe.errors import ConfigurationError
from leadpipe.policy import housing_training
from leadpipe.policy.content import _read
from leadpipe.policy.housing import HousingModel
from leadpipe.policy.pack_file import FOLDER, load_pack
from tests.people_in_pairs import NAMES

PACK = load_pack(date(2026, 11, 24))
# Written by somebody who saw neither phrases nor training sentences; whoever mends rules does not read it.
HELD_OUT = Path(__file__).parent / "held_out" / "fair_housing.yaml"


@pytest.fixture(scope="module")
def model() -> HousingModel:
    assert PACK.housing is not None
    return PACK.housing


def is_blocked(words: str) -> bool:
    return any(code == "fair_housing" for _, code, _ in _read(words, PACK).hits)


def test_of_a_strangers_sentences_most_forbidden_ones_are_blocked_and_few_others() -> None:
    sentences = yaml.safe_load(HELD_OUT.read_text(encoding="utf-8"))
    blocked = [is_blocked(words) for words in sentences["blocked"]]
    clean = [is_blocked(words) for words in sentences["clean"]]
    assert (len(blocked), len(clean)) == (250, 500)
    assert sum(blocked) / len(blocked) > 0.9
    assert sum(clean) / len(clean) <= 0.03


def test_the_weights_are_those_of_the_sentences_and_the_code_as_they_stand(model: HousingModel) -> None:
    assert model.trained_on == housing_training.digest(), "make fair-housing"


def test_training_gives_the_same_bytes_again() -> None:
    pairs = housing_training.sentences()[::12]
    texts = [housing_training.train(pairs, trained_on="x").as_text() for _ in range(2)]
    assert texts[0] == texts[1]
    assert HousingModel.from_text(texts[0]).as_text() == texts[0]
    with pytest.raises(ValueError, match="no weights"):
        HousingModel.from_text('{"weights": []}')


def test_words_without_end_are_read_too(model: HousingModel) -> None:
    clean = [words for words, is_blocked in housing_training.sentences() if not is_blocked]
    assert model.probability(" ".join(clean).translate(dict.fromkeys(map(ord, ".!?\u2026\n")))) < 0.01


def test_who_is_written_to_changes_nothing(model: HousingModel) -> None:
    for words in ("Hi {}, are you still looking to buy in Houston?", "{} would love to show you the house on Tuesday."):
        found = {name: model.probability(words.format(name)) for name, _ in NAMES}
        assert len(set(found.values())) == 1, found


def test_names_of_people_and_places_are_not_learnt(model: HousingModel) -> None:
    texts = [words for words, _ in housing_training.sentences()]
    names = housing_training.names_in(texts)
    assert {"garcia", "jamal", "priya", "hialeah"} <= names
    assert names.isdisjoint({"jewish", "christian", "hispanic", "mexican", "section"})
    known = {part for feature in model.weights for part in feature.split(" ")}
    assert known.isdisjoint(names)


@pytest.mark.parametrize("between", [" ", "\n", "  "])
def test_what_is_said_beside_a_sentence_makes_it_no_better(model: HousingModel, between: str) -> None:
    before, after = "The kitchen was redone in 2021 and the roof is four years old.", "Would Saturday at 2 suit you?"
    for worst in ("We only rent to married couples.", "This street suits young Christian families, not older folks."):
        alone = model.probability(worst)
        assert alone >= PACK.housing_from > model.probability(before + between + after)
        assert model.probability(between.join((before, worst, after))) == alone


@pytest.mark.parametrize("words", ["Adults-only building.", "This is an adults-only complex.", "No-children policy."])
def test_a_hyphen_hides_nothing(words: str) -> None:
    assert is_blocked(words)


def test_a_pack_that_names_other_weights_cannot_judge(tmp_path: Path) -> None:
    newest = sorted(FOLDER.glob("*.yaml"))[-1]
    folder = Path(shutil.copytree(FOLDER, tmp_path / "packs", ignore=shutil.ignore_patterns("SHA256SUMS")))
    text = newest.read_text(encoding="utf-8")
    for named in ("fair_housing-00000000.json", "../pack.py"):
        (folder / newest.name).write_text(text.replace(next(FOLDER.glob("*.json")).name, named), encoding="utf-8")
        with pytest.raises(ConfigurationError, match=f"part fair_housing .*no weights {named}"):
            load_pack(date(2026, 11, 24 + len(named) % 2), folder)
