"""The refusal model: its file is of these sentences and this code, reads as it was trained, and runs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from leadpipe.conversation import refusal_model
from leadpipe.conversation.refusal_training import train
from leadpipe.errors import ConfigurationError

_REFUSING = [f"{how} stop {what} me" for how in ("please", "just", "now") for what in ("texting", "calling")]
_ASKING = [f"can we see the {what} {when}" for what in ("house", "condo") for when in ("today", "at 5", "soon")]
SENTENCES = [*((text, "opt_out") for text in _REFUSING), *((text, "appointment") for text in _ASKING)]


def test_the_file_was_trained_on_the_sentences_and_the_code_that_stand_here() -> None:
    assert refusal_model.load().trained_on == refusal_model.digest(), "run `make refusals`"


def test_a_model_learns_from_its_sentences_and_the_same_ones_give_the_same_bytes() -> None:
    model = train(SENTENCES, trained_on="here")
    refuses, asks = model.probabilities(["would you stop texting me", "can we see the farm soon"])
    assert refuses > 0.6 > 0.4 > asks
    assert model.probabilities([]) == []
    assert train(SENTENCES, trained_on="here").as_bytes() == model.as_bytes()


def test_a_model_that_was_written_and_read_reads_the_same() -> None:
    model = train(SENTENCES, trained_on="here")
    again = refusal_model.from_bytes(model.as_bytes())
    texts = [text for text, _ in SENTENCES]
    assert again.trained_on == "here"
    assert np.allclose(again.probabilities(texts), model.probabilities(texts), atol=0.005)


def test_a_file_that_is_none_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_model, "WEIGHTS", "refusals.yaml")
    refusal_model.load.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="make refusals"):
            refusal_model.load()
    finally:
        monkeypatch.undo()
        refusal_model.load.cache_clear()
