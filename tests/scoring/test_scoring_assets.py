"""The scoring assets: figures and picture as metadata, blocking checks that can fail."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import scoring
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.lake import Lake
from resources.runtime import LeadpipeResource


def test_model_and_scores_are_made_with_figures_and_a_reliability_plot(
    learnable: Any, lake: Lake, settings: Settings, server_home: Any, tmp_path: Any
) -> None:
    learnable(1_200)
    (tmp_path / "duckdb").symlink_to(server_home / "duckdb")
    runtime = Runtime(settings.model_copy(update={"home": tmp_path}))
    result = dg.materialize(
        [scoring.model, scoring.lead_scores, scoring.lead_scores_are_sound],
        resources={"leadpipe": LeadpipeResource.of(runtime)},
    )
    runtime.close()

    assert result.success
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys(scoring.CHECKS.values(), True)
    (model,) = result.asset_materializations_for_node("scoring__model")
    assert {"auc", "brier", "lift_top_10_pct", "reliability", "calibration", "why"} <= set(model.metadata)
    assert "data:image/png;base64," in str(model.metadata["reliability"].value)
    (scores,) = result.asset_materializations_for_node("scoring__lead_scores")
    assert scores.metadata["dagster/row_count"].value == 1_200


def test_a_person_without_a_score_fails_the_check(history: Any, lake: Lake, settings: Settings, clock: Any) -> None:
    history.person(1, clock.now())
    history.flush()
    runtime = Runtime(settings)
    found = {check.check_name: check.passed for check in scoring.lead_scores_are_sound(LeadpipeResource.of(runtime))}
    runtime.close()
    assert found["nobody_is_missing"] is False
    assert found["scores_lie_between_0_and_100"] is True
