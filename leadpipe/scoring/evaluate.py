"""How good a score is, on leads that no fitting has seen.

What lives here: AUC, Brier, lift, the calibration table. What does not: fitting (``train``), drawing (``report``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# The moment the headline figures are for: one row a lead, nothing known but the arrival.
HEADLINE_MOMENT = "arrival"
BINS = 10

Metrics = dict[str, Any]


def evaluate(rows: pd.DataFrame, probability: np.ndarray[Any, Any]) -> Metrics:
    """Figures of a score on labelled rows.

    The headline is for arrivals alone, one row a lead: mixed over moments, age by itself would look like skill.
    ``by_moment`` holds AUC and Brier of each.

    Args:
        rows: with ``moment`` and ``label``.
        probability: the score's, 0 to 1, one a row.
    """
    is_headline = (rows["moment"] == HEADLINE_MOMENT).to_numpy()
    label = rows["label"].to_numpy()
    headline = _figures(label[is_headline], probability[is_headline])
    by_moment: Metrics = {}
    for moment in rows["moment"].unique():
        chosen = (rows["moment"] == moment).to_numpy()
        by_moment[moment] = {
            name: _figures(label[chosen], probability[chosen])[name] for name in ("auc", "brier", "count", "positives")
        }
    return headline | {
        "calibration": calibration_table(label[is_headline], probability[is_headline]),
        "by_moment": by_moment,
    }


def _figures(label: np.ndarray[Any, Any], probability: np.ndarray[Any, Any]) -> Metrics:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    count, positives = len(label), int(label.sum())
    if count == 0:
        return {"count": 0, "positives": 0} | dict.fromkeys(
            ("base_rate", "auc", "brier", "brier_base", "lift_top_10_pct", "mean_score")
        )
    base = positives / count
    return {
        "count": count,
        "positives": positives,
        "base_rate": round(base, 6),
        "mean_score": round(float(probability.mean()), 6),
        "auc": round(float(roc_auc_score(label, probability)), 4) if 0 < positives < count else None,
        "brier": round(float(brier_score_loss(label, probability, pos_label=1)), 6),
        "brier_base": round(base * (1 - base), 6),
        "lift_top_10_pct": lift(label, probability),
    }


def lift(label: np.ndarray[Any, Any], probability: np.ndarray[Any, Any], *, share: float = 0.1) -> float | None:
    """How many times as often the best-scored tenth succeeds as everyone; None without successes.

    Where a score ties across the cut, the tied leads count with their average.
    """
    import numpy as np

    top = max(1, round(len(label) * share))
    if label.sum() == 0:
        return None
    cut = np.sort(probability)[::-1][top - 1]
    above, tied = probability > cut, probability == cut
    hits = label[above].sum() + label[tied].mean() * (top - above.sum())
    return round(float(hits / top / label.mean()), 3)


def calibration_table(label: np.ndarray[Any, Any], probability: np.ndarray[Any, Any]) -> list[Metrics]:
    """Mean score and observed rate in up to ten groups of about equal size, lowest scores first."""
    import numpy as np

    if len(label) == 0:
        return []
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, BINS + 1)[1:-1]))
    group = np.searchsorted(edges, probability, side="left")
    return [
        {
            "mean_score": round(float(probability[group == number].mean()), 6),
            "observed_rate": round(float(label[group == number].mean()), 6),
            "count": int((group == number).sum()),
        }
        for number in np.unique(group)
    ]
