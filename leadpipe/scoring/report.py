"""The evaluation report of a model: figures as a dictionary, reliability as a picture.

What lives here: gathering and drawing. What does not: computing the figures (``evaluate``).
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from leadpipe.scoring import prior
from leadpipe.scoring.model import promoted_version, read_manifest, versions

Report = dict[str, Any]


def report(home: Path, version: str | None = None) -> Report:
    """What is known about a version, by default the one in force.

    Raises:
        ConfigurationError: there is no such version.
    """
    in_force = promoted_version(home)
    chosen = version or in_force
    found: Report = {
        "version": chosen,
        "promoted_version": in_force,
        "versions": [prior.PRIOR_VERSION, *versions(home)],
        "is_prior": chosen == prior.PRIOR_VERSION,
    }
    if found["is_prior"]:
        return found | {
            "base_rate": prior.BASE_RATE,
            "bands": {"high": prior.BANDS[0], "medium": prior.BANDS[1]},
            "note": "a documented prior (docs/scoring.md); no outcome of this team stands behind it",
        }
    return found | read_manifest(home, chosen)


def reliability_png(calibration: list[dict[str, Any]]) -> bytes:
    """Observed rate against mean score, with the diagonal that a calibrated score follows, as PNG."""
    import altair as alt
    import pandas as pd
    import vl_convert

    points = pd.DataFrame(calibration)
    top = float(max(points["mean_score"].max(), points["observed_rate"].max(), 0.01))
    diagonal = pd.DataFrame({"mean_score": [0.0, top], "observed_rate": [0.0, top]})
    scale = alt.Scale(domain=[0, top])
    x = alt.X("mean_score:Q", title="mean score", scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("observed_rate:Q", title="observed rate", scale=scale, axis=alt.Axis(format="%"))
    line = alt.Chart(diagonal).mark_line(strokeDash=[4, 4], color="#999999").encode(x=x, y=y)
    dots = alt.Chart(points).mark_line(point=True, color="#1f5fa8").encode(x=x, y=y)
    spec = (line + dots).properties(width=320, height=320, title="Reliability on the newest leads").to_dict()
    return vl_convert.vegalite_to_png(spec, scale=2)


def reliability_markdown(calibration: list[dict[str, Any]]) -> str:
    """The picture as Markdown that carries it, for the metadata of an asset."""
    picture = base64.b64encode(reliability_png(calibration)).decode()
    return f"![Reliability: observed rate against mean score](data:image/png;base64,{picture})"
