"""The dbt step builds the models on a real lake and reports what dbt did."""

from __future__ import annotations

import dagster as dg

from assets.dbt import build_dbt_assets, read_specs
from leadpipe.store.lake import Lake
from resources.runtime import LeadpipeResource


def test_a_build_reports_every_model_with_its_rows_and_every_test_as_a_check(
    leadpipe: LeadpipeResource, lake: Lake
) -> None:
    specs = read_specs()
    models = build_dbt_assets(specs)
    result = dg.materialize([models], resources={"leadpipe": leadpipe})

    assert result.success
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    assert made == {spec.key for spec in specs.assets.values()}
    checked = {evaluation.asset_check_key for evaluation in result.get_asset_check_evaluations()}
    assert checked == {spec.key for spec in specs.checks.values()}
