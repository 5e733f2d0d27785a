"""Scoring leads with the model in force.

What lives here: features of now, the model's answer, the rows of ``scoring.lead_scores``. What does not: training
(``train``), telling the CRM (``publish``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.scoring import model as models
from leadpipe.scoring.features import NAMES, current_people, feature_frame, moments_of
from leadpipe.scoring.reasons import three_reasons
from leadpipe.scoring.tables import BANDS, LEAD_SCORES, LEAD_SCORES_SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sqlalchemy import Engine

    from leadpipe.scoring.predict import ScoringModel
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

# Who came so short before a scoring, or during it, may not have been in the mirror that was scored from.
MIRROR_LAG = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """What one scoring did."""

    scored_at: datetime
    count_scored: int
    count_by_band: dict[str, int]
    model_version: str
    is_prior: bool


def score(
    engine: Engine, lake: Lake, settings: Settings, *, now: datetime, person_ids: Iterable[int] | None = None
) -> ScoreReport:
    """Append one row to ``scoring.lead_scores`` for every lead, or for some of them.

    Args:
        engine: the ledger.
        lake: what is scored from, and where the scores go.
        settings: home of the models and the team's time zone.
        now: the moment the features are of, and ``scored_at``.
        person_ids: score these again, for instance after a reply; the ledger's mirror is brought up to date first, so
            that an answer given a second ago counts. None scores everyone in the mirror as it is.

    Raises:
        ConfigurationError: the promoted model cannot be used.
    """
    model = models.load_promoted(settings.home)
    if person_ids is not None:
        from leadpipe.store.mirror import mirror

        mirror(engine, lake, now=now)
    ids = current_people(lake)
    if person_ids is not None:
        wanted = set(person_ids)
        ids = [person_id for person_id in ids if person_id in wanted]
    if not ids:
        return _report(now, model, [])
    frame = feature_frame(lake, moments_of(ids, now), timezone=settings.team_timezone)
    rows = scored_rows(frame, model, now=now)
    lake.append(LEAD_SCORES, rows)
    return _report(now, model, rows["priority_band"].to_pylist())


def scored_rows(frame: pd.DataFrame, model: ScoringModel, *, now: datetime) -> pa.Table:
    """Rows of ``LEAD_SCORES_SCHEMA`` for the rows of a feature frame."""
    import numpy as np

    answer = model.predict(frame)
    reasons = three_reasons(frame, answer.contributions)
    count = len(frame)
    columns: dict[str, Any] = {
        "person_id": frame["person_id"].to_numpy(),
        "score_pct": np.round(answer.probability * 100, 3),
        "priority_band": band_of(answer.probability, model.bands),
        "reason_1": reasons[0],
        "reason_2": reasons[1],
        "reason_3": reasons[2],
        "model_version": [model.version] * count,
        "is_prior": [model.is_prior] * count,
        "features": frame[list(NAMES)].to_json(orient="records", lines=True, double_precision=2).splitlines(),
        "scored_at": [now] * count,
    }
    return pa.table(columns, schema=LEAD_SCORES_SCHEMA)


def band_of(probability: np.ndarray[Any, Any], bands: tuple[float, float]) -> list[str]:
    """Priority by the model's own thresholds."""
    import numpy as np

    high, medium = bands
    return np.select([probability >= high, probability >= medium], list(BANDS[:2]), BANDS[2]).tolist()


def _report(now: datetime, model: ScoringModel, bands: list[str]) -> ScoreReport:
    counts = Counter(bands)
    return ScoreReport(
        scored_at=now,
        count_scored=len(bands),
        count_by_band={band: counts[band] for band in BANDS},
        model_version=model.version,
        is_prior=model.is_prior,
    )


def latest_scores(lake: Lake) -> pa.Table:
    """The score in force of every person. Grain: person."""
    return lake.query(
        f"select * from {LEAD_SCORES} "  # noqa: S608 - our own names
        "qualify row_number() over (partition by person_id order by scored_at desc) = 1 order by person_id"
    )


def problems(lake: Lake) -> dict[str, int]:
    """What is wrong with the stored scores, counted by kind; empty when all is well.

    People go on arriving while everyone is scored: only those known well before the last scoring are missed.
    """
    row = lake.query(
        f"""
        select
            (select count(*) from {LEAD_SCORES}
             where score_pct is null or not (score_pct between 0 and 100)
                or priority_band not in ('high', 'medium', 'low')) as out_of_range,
            (select count(*) from (
                select person_id, scored_at from {LEAD_SCORES} group by all having count(*) > 1)) as scored_twice
        """  # noqa: S608 - our own names
    ).to_pylist()[0]
    scores = latest_scores(lake)
    scored = set(scores["person_id"].to_pylist())
    known_by = max(scores["scored_at"].to_pylist(), default=None)
    due = current_people(lake, seen_by=known_by - MIRROR_LAG if known_by else None)
    row["never_scored"] = sum(person_id not in scored for person_id in due)
    return {name: count for name, count in row.items() if count}
