"""What planning reads of the lake: scores in force and the market trend.

What lives here: reading both once, and handing out some people's part. What does not: what the ledger knows of them
(``facts``, ``history``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.market import tables as market_tables
from leadpipe.outreach.plan_desk import Score
from leadpipe.outreach.variables import market_variables_for

if TYPE_CHECKING:
    import numpy as np

    from leadpipe.store.lake import Lake

_SCORES = """
    select person_id, score_pct, priority_band, reason_1 from scoring.lead_scores
    qualify row_number() over (partition by person_id order by scored_at desc) = 1
    order by person_id
"""
_MARKET = f"""
    select zip, change_12m_pct, month from {market_tables.MARKET_TREND}
    where metric = 'zhvi' and change_12m_pct is not null
"""  # noqa: S608 - our own names

# Facts as templates print them, by ZIP code.
Market = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores in force as columns, by rising person id: a million of them as objects would fill the memory."""

    person_ids: np.ndarray
    pcts: np.ndarray
    bands: Sequence[str]
    band_numbers: np.ndarray
    reasons: Sequence[str]
    reason_numbers: np.ndarray

    def of(self, person_ids: Iterable[int]) -> dict[int, Score]:
        """The scores of these people; who has none is left out."""
        import numpy as np

        wanted = np.fromiter(person_ids, dtype=np.int64)
        places = np.searchsorted(self.person_ids, wanted)
        places = places[places < len(self.person_ids)] if len(self.person_ids) else places[:0]
        found = places[np.isin(self.person_ids[places], wanted)]
        rows: Iterable[tuple[int, float, int, int]] = zip(
            self.person_ids[found].tolist(),
            self.pcts[found].tolist(),
            self.band_numbers[found].tolist(),
            self.reason_numbers[found].tolist(),
            strict=True,
        )
        return {person_id: Score(pct, self.bands[band], self.reasons[reason]) for person_id, pct, band, reason in rows}


def scores_and_market(lake: Lake, now: datetime) -> tuple[Scores, Market]:
    """Scores in force by person, and fresh market facts by ZIP code."""
    with lake.connect(read_only=True) as connection:
        found = connection.execute(_SCORES).to_arrow_table().combine_chunks()
        trend = connection.execute(_MARKET).to_arrow_table()
    bands, band_numbers = _coded(found["priority_band"])
    reasons, reason_numbers = _coded(found["reason_1"])
    scores = Scores(
        person_ids=found["person_id"].to_numpy(),
        pcts=found["score_pct"].to_numpy(),
        bands=bands,
        band_numbers=band_numbers,
        reasons=reasons,
        reason_numbers=reason_numbers,
    )
    facts = zip(*(trend[name].to_pylist() for name in ("zip", "change_12m_pct", "month")), strict=True)
    return scores, market_variables_for({code: (change, month) for code, change, month in facts}, now=now)


def _coded(column: Any) -> tuple[list[str], np.ndarray]:
    """Distinct values of a column, and for each row the number of its own."""
    coded = column.dictionary_encode().combine_chunks()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False)
