"""Learning the score from the team's own history.

What lives here: splitting by time, fitting, choosing between two kinds of model, calibrating, the manifest. What does
not: rows (``labels``), figures (``evaluate``), files (``model``).

Leads are split by the time they came: the oldest 60 % teach, the next 20 % calibrate, the newest 20 % judge. All
moments of one lead stay on one side. Too few outcomes leave the prior in force, and the report says so.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.scoring import model as models
from leadpipe.scoring import prior
from leadpipe.scoring.evaluate import HEADLINE_MOMENT, Metrics, evaluate
from leadpipe.scoring.features import NAMES, NUMBERS, WORDS
from leadpipe.scoring.labels import HORIZON, training_rows
from leadpipe.scoring.predict import PriorModel, TrainedModel, calibrated

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

MIN_POSITIVES = 50
# In the later slices a handful of outcomes would calibrate and judge on noise.
MIN_POSITIVES_A_SLICE = 5
SHARES = {"fit": 0.6, "calibrate": 0.2, "test": 0.2}
# Isotonic regression is free in shape and needs many outcomes; below, a sigmoid has two numbers to find.
ISOTONIC_FROM = 500
# Shares of calibration leads from which priority is high and medium.
HIGH_SHARE, MEDIUM_SHARE = 0.10, 0.35
SEED = 7
# A model that does not rank better than this, or clearly worse than the prior, is not put in force by itself; a
# hundredth or two is noise on a few hundred leads.
MIN_AUC = 0.55
AUC_NOISE = 0.02


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What one training did.

    Attributes:
        version: the new version, or the prior's name when there were too few outcomes.
        is_promoted: whether it was put in force by itself, which happens only in place of the prior.
        why: one sentence.
        metrics: figures on the test slice; empty for the prior.
    """

    version: str
    is_prior: bool
    is_promoted: bool
    why: str
    metrics: Metrics
    manifest: dict[str, Any]


def train(lake: Lake, settings: Settings, *, now: datetime, seed: int = SEED) -> Trained:
    """Fit, calibrate, judge and store a model of everything known at ``now``.

    The same data and seed give the same version. It replaces the prior by itself when it predicts the newest leads
    better and ranks them no worse; a later one is promoted by a person.
    """
    snapshot_id = lake.snapshot_id()
    rows = training_rows(lake, now=now, timezone=settings.team_timezone)
    slices = split(rows)
    lack = _lack(rows, slices)
    if lack:
        return Trained(
            version=prior.PRIOR_VERSION, is_prior=True, is_promoted=False, why=lack, metrics={}, manifest={}
        )  # fmt: skip
    fitted = _fit(slices, seed)
    manifest = _manifest(rows, slices, fitted, seed, snapshot_id, now)
    model = TrainedModel(pipeline=fitted["pipeline"], calibrator=fitted["calibrator"], manifest=manifest)
    metrics = evaluate(slices["test"], model.predict(slices["test"]).probability)
    by_prior = evaluate(slices["test"], PriorModel().predict(slices["test"]).probability)
    manifest["metrics"] = metrics
    manifest["metrics_of_prior"] = {name: by_prior[name] for name in ("auc", "brier", "lift_top_10_pct")}
    models.save(settings.home, model)
    why, is_promoted = _judged(metrics, by_prior, models.promoted_version(settings.home))
    if is_promoted:
        models.promote(settings.home, model.version, now=now)
    return Trained(
        version=model.version, is_prior=False, is_promoted=is_promoted, why=why, metrics=metrics, manifest=manifest
    )


def split(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows by slice: older leads before newer ones, every lead whole on one side."""
    leads = rows[["person_id", "created_at"]].drop_duplicates("person_id").sort_values(["created_at", "person_id"])
    ids = leads["person_id"].tolist()
    first, second = int(len(ids) * SHARES["fit"]), int(len(ids) * (SHARES["fit"] + SHARES["calibrate"]))
    parts = {"fit": ids[:first], "calibrate": ids[first:second], "test": ids[second:]}
    return {name: rows[rows["person_id"].isin(part)].reset_index(drop=True) for name, part in parts.items()}


def _positives(rows: pd.DataFrame) -> int:
    return int(rows.loc[rows["label"] == 1, "person_id"].nunique())


def _lack(rows: pd.DataFrame, slices: dict[str, pd.DataFrame]) -> str:
    positives = _positives(rows)
    if positives < MIN_POSITIVES:
        return f"{positives} leads with an outcome are too few ({MIN_POSITIVES} are needed); the prior stays in force"
    for name, part in slices.items():
        few = min(_positives(part), int((part["label"] == 0).sum()))
        if few < MIN_POSITIVES_A_SLICE:
            return f"the slice {name!r} has too few outcomes of one kind ({few}); the prior stays in force"
    return ""


def _judged(metrics: Metrics, by_prior: Metrics, promoted: str) -> tuple[str, bool]:
    if promoted != prior.PRIOR_VERSION:
        return f"stored; {promoted} stays in force until `leadpipe model promote`", False
    ranks = (metrics["auc"] or 0) >= max(MIN_AUC, (by_prior["auc"] or 0) - AUC_NOISE)
    predicts = metrics["brier"] < min(by_prior["brier"], metrics["brier_base"])
    if ranks and predicts:
        return "predicts the newest leads better than the prior and ranks them no worse; now in force", True
    return "stored, but not better than the prior on the newest leads; the prior stays in force", False


def candidates(seed: int) -> dict[str, Any]:
    """The pipelines that compete, unfitted. Preparation is part of each: scoring never fits anything."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def prepare(numbers: Any) -> Any:
        words = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
        return ColumnTransformer(
            [("words", words, list(WORDS)), ("numbers", numbers, list(NUMBERS))], verbose_feature_names_out=False
        )

    scaled = Pipeline(
        [
            ("fill", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )
    # Trees take a number no value has for "missing"; a column without any value would stop them.
    marked = SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)
    settings: dict[str, Any] = {
        "learning_rate": 0.08, "max_iter": 80, "max_leaf_nodes": 8, "min_samples_leaf": 60, "l2_regularization": 5.0,
        "early_stopping": False, "random_state": seed,
    }  # fmt: skip
    boosting = HistGradientBoostingClassifier(**settings)
    return {
        "logistic": Pipeline([("prepare", prepare(scaled)), ("estimate", LogisticRegression(C=0.3, max_iter=2_000))]),
        "boosting": Pipeline([("prepare", prepare(marked)), ("estimate", boosting)]),
    }


def _fit(slices: dict[str, pd.DataFrame], seed: int) -> dict[str, Any]:
    """The better of two kinds by the last quarter of the fitting slice, fitted on all of it, then calibrated."""
    from sklearn.metrics import log_loss

    fit = slices["fit"]
    ids = fit["person_id"].drop_duplicates().tolist()
    held_back = fit["person_id"].isin(ids[len(ids) * 3 // 4 :])
    early, late = fit[~held_back], fit[held_back]
    losses: dict[str, float] = {}
    if 0 < early["label"].sum() < len(early) and 0 < late["label"].sum() < len(late):
        for name, pipeline in candidates(seed).items():
            pipeline.fit(early[list(NAMES)], early["label"])
            losses[name] = float(log_loss(late["label"], pipeline.predict_proba(late[list(NAMES)])[:, 1]))
    kind = min(losses, key=lambda name: losses[name]) if losses else "logistic"
    pipeline = candidates(seed)[kind]
    pipeline.fit(fit[list(NAMES)], fit["label"])
    calibrate = slices["calibrate"]
    margin = pipeline.decision_function(calibrate[list(NAMES)])
    method, calibrator = _calibrator(margin, calibrate["label"].to_numpy(), _positives(calibrate))
    arrivals = calibrate[calibrate["moment"] == HEADLINE_MOMENT]
    return {
        "pipeline": pipeline,
        "calibrator": calibrator,
        "kind": kind,
        "losses": {name: round(loss, 6) for name, loss in losses.items()},
        "method": method,
        "bands": _bands(calibrated(calibrator, pipeline.decision_function(arrivals[list(NAMES)]))),
    }


def _calibrator(margin: np.ndarray[Any, Any], label: np.ndarray[Any, Any], positives: int) -> tuple[str, Any]:
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    if positives >= ISOTONIC_FROM:
        return "isotonic", IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0).fit(margin, label)
    # All but unpenalised, so that the scores of the slice add up to its outcomes.
    return "sigmoid", LogisticRegression(C=1e6, max_iter=1_000).fit(margin.reshape(-1, 1), label)


def _bands(probability: np.ndarray[Any, Any]) -> dict[str, float]:
    import numpy as np

    high, medium = np.quantile(probability, [1 - HIGH_SHARE, 1 - MEDIUM_SHARE])
    return {"high": float(high), "medium": float(medium)}


def _manifest(
    rows: pd.DataFrame,
    slices: dict[str, pd.DataFrame],
    fitted: dict[str, Any],
    seed: int,
    snapshot_id: int,
    now: datetime,
) -> dict[str, Any]:
    import pandas as pd

    stripped = rows[["person_id", "moment", "label", *NAMES]]
    digest = hashlib.sha256(pd.util.hash_pandas_object(stripped, index=False).to_numpy().tobytes())
    digest.update(f"{seed}{NAMES}".encode())
    arrivals = slices["fit"][slices["fit"]["moment"] == HEADLINE_MOMENT]
    typical: dict[str, Any] = {name: str(arrivals[name].mode().iloc[0]) for name in WORDS}
    for name in NUMBERS:
        # A fact that most leads lack is typically missing.
        middle = arrivals[name].median() if arrivals[name].notna().mean() >= 0.5 else None
        typical[name] = None if middle is None or pd.isna(middle) else float(middle)
    return {
        "version": f"m-{now:%Y%m%d}-{digest.hexdigest()[:8]}",
        "trained_at": now.isoformat(),
        "kind": fitted["kind"],
        "calibration": fitted["method"],
        "held_back_log_loss": fitted["losses"],
        "features": list(NAMES),
        "typical": typical,
        "bands": fitted["bands"],
        "label": f"appointment or deal within {HORIZON.days} days of creation",
        "window": {
            name: {
                "from": part["created_at"].min().isoformat(),
                "to": part["created_at"].max().isoformat(),
                "count_leads": int(part["person_id"].nunique()),
                "count_rows": len(part),
                "count_positives": _positives(part),
            }
            for name, part in slices.items()
        },
        "data_snapshot_id": snapshot_id,
        "data_hash": digest.hexdigest(),
        "seed": seed,
        "libraries": {
            name: importlib.metadata.version(name) for name in ("scikit-learn", "numpy", "pandas", "skops", "duckdb")
        },
    }
