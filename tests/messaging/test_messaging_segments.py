"""SMS segments, counted as carriers count them (messaging sheet 1.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpipe.messaging.segments import count_segments


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        pytest.param("", "GSM-7", 0, 0, id="empty"),
        pytest.param("a" * 160, "GSM-7", 160, 1, id="a full single"),
        pytest.param("a" * 161, "GSM-7", 161, 2, id="one more"),
        pytest.param("a" * 306, "GSM-7", 306, 2, id="two full parts"),
        pytest.param("a" * 307, "GSM-7", 307, 3, id="three parts"),
        pytest.param("€" * 80, "GSM-7", 160, 1, id="escaped letters count twice"),
        pytest.param("€" * 81, "GSM-7", 162, 2, id="escaped letters over one part"),
        # 152 letters leave one place in the part: the pair of an escape is not split, it moves on.
        pytest.param("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2, id="a pair moves on and fits"),
        pytest.param("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3, id="a pair moves on and costs a part"),
        pytest.param("ñ¿Ñ", "GSM-7", 3, 1, id="Spanish inside GSM"),
        pytest.param("á", "UCS-2", 1, 1, id="Spanish outside GSM"),
        pytest.param("a" * 70 + "’", "UCS-2", 71, 2, id="one curly quote"),
        pytest.param("’" * 70, "UCS-2", 70, 1, id="a full UCS single"),
        pytest.param("😀" * 35, "UCS-2", 70, 1, id="surrogate pairs"),
        pytest.param("😀" * 36, "UCS-2", 72, 2, id="surrogate pairs in two parts"),
        pytest.param("’" + "😀" * 66, "UCS-2", 133, 2, id="an odd unit before pairs"),
        pytest.param("😀" * 67, "UCS-2", 134, 3, id="pairs are not split"),
    ],
)
def test_a_text_fills_the_segments_a_carrier_bills(text: str, encoding: str, units: int, count: int) -> None:
    found = count_segments(text)
    assert (found.encoding, found.units, found.count) == (encoding, units, count)


@given(st.text(max_size=400), st.text(max_size=50))
def test_more_text_never_costs_less(text: str, more: str) -> None:
    assert count_segments(text + more).count >= count_segments(text).count
