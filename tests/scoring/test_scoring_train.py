"""Training: split by time, calibrated, stored with its manifest, and the prior while there is too little to learn."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from leadpipe.clock import FixedClock
from leadpipe.errors import ConfigurationError
from leadpipe.scoring import model as models
from leadpipe.scoring.evaluate import calibration_table, lift
from leadpipe.scoring.features import NAMES
from leadpipe.scoring.labels import training_rows
from leadpipe.scoring.predict import TrainedModel, calibrated
from leadpipe.scoring.prior import PRIOR_VERSION
from leadpipe.scoring.report import reliability_markdown, reliability_png, report
from leadpipe.scoring.score import score
from leadpipe.scoring.train import split, train
from leadpipe.settings import Settings
from leadpipe.store.lake import Lake

ZONE = "America/Chicago"


@pytest.fixture
def home_settings(settings: Settings, tmp_path: Any) -> Settings:
    return settings.model_copy(update={"home": tmp_path})


def test_a_team_without_outcomes_is_scored_by_the_prior_and_told_so(
    history: Any, lake: Lake, ledger_engine: Engine, home_settings: Settings, clock: FixedClock
) -> None:
    history.person(1, clock.now() - timedelta(days=1))
    history.flush()

    done = train(lake, home_settings, now=clock.now())
    scored = score(ledger_engine, lake, home_settings, now=clock.now())

    assert (done.version, done.is_prior) == (PRIOR_VERSION, True)
    assert "0 leads with an outcome are too few" in done.why
    assert (scored.model_version, scored.is_prior, scored.count_scored) == (PRIOR_VERSION, True, 1)
    assert report(home_settings.home)["is_prior"] is True
    assert models.versions(home_settings.home) == []


def test_a_model_learns_what_there_is_to_learn_and_replaces_the_prior(
    learnable: Any, lake: Lake, ledger_engine: Engine, home_settings: Settings, clock: FixedClock
) -> None:
    learnable(2_500)

    done = train(lake, home_settings, now=clock.now())

    assert not done.is_prior
    assert done.is_promoted, done.why
    assert models.promoted_version(home_settings.home) == done.version
    assert done.metrics["by_moment"]["day_1"]["auc"] > 0.70
    assert done.metrics["auc"] > 0.60
    assert done.metrics["brier"] < done.metrics["brier_base"]
    assert done.metrics["lift_top_10_pct"] > 1.3

    manifest = json.loads((home_settings.home / "models" / done.version / "manifest.json").read_text())
    assert manifest == done.manifest
    assert manifest["features"] == list(NAMES)
    assert manifest["data_snapshot_id"] == lake.snapshot_id()
    assert manifest["seed"] == 7
    assert {"scikit-learn", "numpy", "skops"} <= set(manifest["libraries"])
    window = manifest["window"]
    assert window["fit"]["to"] <= window["calibrate"]["from"] <= window["calibrate"]["to"] <= window["test"]["from"]
    assert sum(part["count_leads"] for part in window.values()) == 2_500
    assert all(part["count_positives"] > 0 for part in window.values())

    # The calibration slice's scores add up to its outcomes.
    rows = split(training_rows(lake, now=clock.now(), timezone=ZONE))["calibrate"]
    model = models.load(home_settings.home, done.version)
    assert model.predict(rows).probability.sum() == pytest.approx(rows["label"].sum(), rel=0.01)

    again = train(lake, home_settings, now=clock.now())
    assert again.version == done.version
    assert not again.is_promoted
    assert again.metrics == done.metrics

    # A reply is a feature: the lead that answered scores higher and says why.
    found = score(ledger_engine, lake, home_settings, now=clock.now())
    assert found.count_scored == 2_500
    assert not found.is_prior
    assert all(found.count_by_band.values())
    assert reliability_png(done.metrics["calibration"]).startswith(b"\x89PNG")
    assert reliability_markdown(done.metrics["calibration"]).startswith("![Reliability")


def test_every_lead_stands_whole_on_one_side_of_the_split(learnable: Any, lake: Lake, clock: FixedClock) -> None:
    learnable(200)
    slices = split(training_rows(lake, now=clock.now(), timezone=ZONE))

    people = {name: set(part["person_id"]) for name, part in slices.items()}
    assert not people["fit"] & people["calibrate"]
    assert not people["calibrate"] & people["test"]
    assert slices["fit"]["created_at"].max() <= slices["calibrate"]["created_at"].min()
    assert slices["calibrate"]["created_at"].max() <= slices["test"]["created_at"].min()


def test_both_kinds_of_model_are_stored_and_answer_the_same_when_loaded(
    learnable: Any, lake: Lake, home_settings: Settings, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leadpipe.scoring import train as training

    learnable(900)
    rows = training_rows(lake, now=clock.now(), timezone=ZONE)
    every = training.candidates(7)
    for kind in every:
        monkeypatch.setattr(
            training, "candidates", lambda seed, kind=kind: {kind: every[kind], "logistic": every[kind]}
        )
        done = train(lake, home_settings, now=clock.now())
        loaded = models.load(home_settings.home, done.version)
        assert isinstance(loaded, TrainedModel)
        answer = loaded.predict(rows)
        margin = loaded.pipeline.decision_function(rows[list(NAMES)])
        assert np.allclose(answer.probability, calibrated(loaded.calibrator, margin))
        assert np.abs(answer.contributions).sum(axis=0).max() > 0
        if kind == "logistic":
            # Linear: the contributions are all of the distance from a typical lead.
            distance = margin - answer.contributions.sum(axis=1)
            assert np.allclose(distance, distance[0])


def test_a_model_of_other_features_is_refused(
    learnable: Any, lake: Lake, home_settings: Settings, clock: FixedClock
) -> None:
    learnable(900)
    done = train(lake, home_settings, now=clock.now())
    path = home_settings.home / "models" / done.version / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"features": ["zip"]}))

    with pytest.raises(ConfigurationError, match="other features"):
        models.load(home_settings.home, done.version)


@pytest.mark.parametrize("version", ["m-none", "../escape", "", "prior-2"])
def test_promoting_what_is_not_there_changes_nothing(home_settings: Settings, clock: FixedClock, version: str) -> None:
    with pytest.raises(ConfigurationError):
        models.promote(home_settings.home, version, now=clock.now())
    assert models.promoted_version(home_settings.home) == PRIOR_VERSION


def test_lift_counts_ties_with_their_average() -> None:
    label = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert lift(label, np.linspace(1, 0, 10)) == pytest.approx(10)
    assert lift(label, np.full(10, 0.5)) == pytest.approx(1)
    assert lift(np.zeros(10), np.full(10, 0.5)) is None


def test_the_calibration_table_holds_every_row_once() -> None:
    dice = np.random.default_rng(1)
    probability = np.round(dice.random(500), 2)
    label = (dice.random(500) < probability).astype(int)
    table = calibration_table(label, probability)

    assert sum(row["count"] for row in table) == 500
    assert sum(row["count"] * row["observed_rate"] for row in table) == pytest.approx(label.sum(), abs=0.01)
    assert [row["mean_score"] for row in table] == sorted(row["mean_score"] for row in table)
