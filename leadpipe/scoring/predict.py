"""Asking a model: probabilities, and how far each feature moves them.

What lives here: the prior and the trained model as things that answer. What does not: their files (``model``), fitting
(``train``), words (``reasons``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from leadpipe.scoring import prior
from leadpipe.scoring.features import NAMES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Manifest = dict[str, Any]


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
