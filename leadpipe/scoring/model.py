"""A model by its name: stored, loaded, promoted, asked.

What lives here: the files of a version and what a model answers. What does not: fitting it (``train``).

A version is a folder ``LEADPIPE_HOME/models/<version>/`` with ``model.skops`` and ``manifest.json``; the file
``promoted.json`` beside the folders names the one in force. Without it the prior is in force.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from leadpipe.errors import ConfigurationError
from leadpipe.scoring import prior
from leadpipe.scoring.features import NAMES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Manifest = dict[str, Any]
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# What a model file may hold: the numeric libraries' own types and nothing that runs code of others.
_TRUSTED = ("sklearn.", "numpy.", "scipy.")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says about some leads, row by row.

    Attributes:
        probability: calibrated, 0 to 1.
        contributions: log-odds by feature, columns as ``features.NAMES``, against a typical lead.
    """

    probability: np.ndarray[Any, Any]
    contributions: np.ndarray[Any, Any]


class ScoringModel(Protocol):
    """Anything that scores: the prior or a trained version.

    Attributes:
        version: its name, stored beside every score.
        is_prior: whether no outcome of this team stands behind it.
        bands: probabilities from which priority is high, and medium.
    """

    @property
    def version(self) -> str: ...  # noqa: D102 - told by the class

    @property
    def is_prior(self) -> bool: ...  # noqa: D102 - told by the class

    @property
    def bands(self) -> tuple[float, float]: ...  # noqa: D102 - told by the class

    def predict(self, frame: pd.DataFrame) -> Prediction:
        """Probability and contributions for rows of ``features.feature_frame``."""
        ...


class PriorModel:
    """The documented prior, for the time before there is a history."""

    version = prior.PRIOR_VERSION
    is_prior = True
    bands = prior.BANDS

    def predict(self, frame: pd.DataFrame) -> Prediction:
        """The base rate moved by each feature's points."""
        import numpy as np

        points = prior.contributions(frame)
        log_odds = np.log(prior.BASE_RATE / (1 - prior.BASE_RATE)) + points.sum(axis=1)
        return Prediction(probability=1 / (1 + np.exp(-log_odds)), contributions=points)


class TrainedModel:
    """A fitted pipeline with its calibrator and its manifest. Nothing is fitted again here.

    Args:
        pipeline: scikit-learn pipeline of the steps ``prepare`` and ``estimate``.
        calibrator: from the pipeline's log-odds to a probability.
        manifest: what ``train`` wrote down.
    """

    is_prior = False

    def __init__(self, *, pipeline: Any, calibrator: Any, manifest: Manifest) -> None:
        self.pipeline = pipeline
        self.calibrator = calibrator
        self.manifest = manifest

    @property
    def version(self) -> str:
        """Its name."""
        return str(self.manifest["version"])

    @property
    def bands(self) -> tuple[float, float]:
        """Fixed when it was trained, so that a lead's band does not depend on who else is scored."""
        return self.manifest["bands"]["high"], self.manifest["bands"]["medium"]

    def predict(self, frame: pd.DataFrame) -> Prediction:
        """Calibrated probabilities, and how far each feature moves the log-odds from a typical lead's."""
        import numpy as np

        prepare, estimator = self.pipeline.named_steps["prepare"], self.pipeline.named_steps["estimate"]
        inputs = np.asarray(prepare.transform(frame[list(NAMES)]))
        typical = np.asarray(prepare.transform(_typical(self.manifest["typical"])))[0]
        margin = estimator.decision_function(inputs)
        return Prediction(
            probability=calibrated(self.calibrator, margin),
            contributions=_contributions(estimator, inputs, typical, margin, _columns(prepare)),
        )


def calibrated(calibrator: Any, margin: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Probabilities of log-odds, by either kind of calibrator."""
    if hasattr(calibrator, "predict_proba"):
        return calibrator.predict_proba(margin.reshape(-1, 1))[:, 1]
    return calibrator.predict(margin)


def _typical(values: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([{name: float("nan") if values[name] is None else values[name] for name in NAMES}])


def _columns(prepare: Any) -> list[list[int]]:
    """Which columns of the prepared matrix come from which feature."""
    names = list(prepare.get_feature_names_out())
    found: list[list[int]] = []
    for feature in NAMES:
        own = (feature, f"{feature}_", f"missingindicator_{feature}")
        found.append([n for n, name in enumerate(names) if name == own[0] or name.startswith(own[1:])])
    return found


def _contributions(
    estimator: Any,
    inputs: np.ndarray[Any, Any],
    typical: np.ndarray[Any, Any],
    margin: np.ndarray[Any, Any],
    columns: list[list[int]],
) -> np.ndarray[Any, Any]:
    """For each feature, the log-odds lost when it alone is made typical; exact for a linear model."""
    import numpy as np

    found = np.zeros((len(inputs), len(columns)))
    if hasattr(estimator, "coef_"):
        moved = (inputs - typical) * estimator.coef_[0]
        for number, own in enumerate(columns):
            found[:, number] = moved[:, own].sum(axis=1)
        return found
    for number, own in enumerate(columns):
        differs = ~np.isclose(inputs[:, own], typical[own], equal_nan=True).all(axis=1)
        if differs.any():
            changed = inputs[differs].copy()
            changed[:, own] = typical[own]
            found[differs, number] = margin[differs] - estimator.decision_function(changed)
    return found


def folder_of(home: Path, version: str) -> Path:
    """Where a version's files are.

    Raises:
        ConfigurationError: the name is none.
    """
    if not _VERSION.fullmatch(version):
        raise ConfigurationError(f"{version!r} is no model version; `leadpipe model report` lists them")
    return home / "models" / version


def save(home: Path, model: TrainedModel) -> Path:
    """Write a version's files; both are there or neither is."""
    from skops import io

    folder = folder_of(home, model.version)
    unfinished = folder.with_name(f".{model.version}.{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    io.dump({"pipeline": model.pipeline, "calibrator": model.calibrator}, unfinished / "model.skops")
    text = json.dumps(model.manifest, indent=2, sort_keys=True, allow_nan=False)
    (unfinished / "manifest.json").write_text(text + "\n", encoding="utf-8")
    if folder.exists():
        # The name holds a hash of data and settings: what is there is the same model.
        for file in unfinished.iterdir():
            file.replace(folder / file.name)
        unfinished.rmdir()
    else:
        unfinished.rename(folder)
    return folder


def read_manifest(home: Path, version: str) -> Manifest:
    """A version's manifest.

    Raises:
        ConfigurationError: there is no such version.
    """
    path = folder_of(home, version) / "manifest.json"
    if not path.is_file():
        raise ConfigurationError(f"there is no model {version!r}; `leadpipe model train` makes one")
    return json.loads(path.read_text(encoding="utf-8"))


def load(home: Path, version: str) -> ScoringModel:
    """A named version, or the prior by its name.

    Raises:
        ConfigurationError: it is not there, was made for other features, or its file holds foreign types.
    """
    if version == prior.PRIOR_VERSION:
        return PriorModel()
    manifest = read_manifest(home, version)
    if manifest["features"] != list(NAMES):
        raise ConfigurationError(f"model {version!r} was trained on other features; train and promote a new one")
    from skops import io

    path = folder_of(home, version) / "model.skops"
    kinds = io.get_untrusted_types(file=path)
    foreign = [kind for kind in kinds if not kind.startswith(_TRUSTED)]
    if foreign:
        raise ConfigurationError(f"model {version!r} holds types that are not scikit-learn's: {foreign[0]}")
    parts = io.load(path, trusted=kinds)
    return TrainedModel(pipeline=parts["pipeline"], calibrator=parts["calibrator"], manifest=manifest)


def versions(home: Path) -> list[str]:
    """Every stored version, oldest name first; the prior is not among them."""
    folder = home / "models"
    return sorted(path.parent.name for path in folder.glob("*/manifest.json") if not path.parent.name.startswith("."))


def promoted_version(home: Path) -> str:
    """The version in force."""
    pointer = home / "models" / "promoted.json"
    return json.loads(pointer.read_text(encoding="utf-8"))["version"] if pointer.is_file() else prior.PRIOR_VERSION


def promote(home: Path, version: str, *, now: datetime) -> None:
    """Put a version in force from the next scoring on; the prior's name goes back to it.

    Raises:
        ConfigurationError: it cannot be loaded; then nothing changes.
    """
    load(home, version)
    pointer = home / "models" / "promoted.json"
    pointer.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pointer.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps({"version": version, "promoted_at": now.isoformat()}) + "\n", encoding="utf-8")
    unfinished.replace(pointer)


def load_promoted(home: Path) -> ScoringModel:
    """The model in force."""
    return load(home, promoted_version(home))
