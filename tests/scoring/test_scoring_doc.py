"""The page about the score names the points that the prior gives."""

import re
from pathlib import Path

from leadpipe.scoring import features, prior

PAGE = (Path(__file__).parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")


def _steps(name: str, steps: tuple[tuple[float, float], ...]) -> list[tuple[str, str, float]]:
    return [(name, "more" if limit == float("inf") else f"up to {limit:g}", points) for limit, points in steps]


def test_the_page_and_the_prior_give_the_same_points() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (-?[\d.]+) \|$", PAGE, flags=re.MULTILINE)
    expected = [("source", f"contains {word}", points) for word, points in prior.SOURCE_POINTS.items()]
    for name, by_word in (
        ("inquiry_type", prior.INQUIRY_POINTS),
        ("side", prior.SIDE_POINTS),
        ("stage", prior.STAGE_POINTS),
    ):
        expected += [(name, word, points) for word, points in by_word.items()]
    expected += _steps("hours_since_reply", prior.REPLY_AGE_POINTS)
    expected += _steps("hours_since_inquiry", prior.INQUIRY_AGE_POINTS)
    expected += _steps("timeline_months", prior.TIMELINE_POINTS)
    for name, steps in prior.COUNT_POINTS.items():
        expected += _steps(name, steps)
    expected += [(name, "named", points) for name, points in prior.KNOWN_POINTS.items()]
    assert [(name, value, float(points)) for name, value, points in rows] == expected


def test_the_page_names_every_feature_and_the_priors_thresholds() -> None:
    assert [name for name in features.NAMES if f"`{name}`" not in PAGE] == []
    assert f"base rate of {prior.BASE_RATE * 100:g} %" in PAGE
    assert f"| high | from {prior.BANDS[0] * 100:g} % |" in PAGE
    assert f"| medium | from {prior.BANDS[1] * 100:g} % |" in PAGE
