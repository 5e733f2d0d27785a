"""The dbt step builds the models on a real lake and reports what dbt did."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa

from assets.dbt import build_dbt_assets, read_specs
from assets.maintenance import build_published_marts
from leadpipe.runtime import Runtime
from leadpipe.store.bootstrap import SPEND_SCHEMA
from leadpipe.store.mirror import mirror
from resources.runtime import LeadpipeResource

SPECS = read_specs()
PUBLISHED = dg.AssetKey(["published", "marts"])
SOURCE_ROI = dg.AssetKey(["marts", "source_roi"])
MARTS = [spec.key for spec in SPECS.assets.values() if spec.group_name == "marts"]


def build(leadpipe: LeadpipeResource, selection: dg.AssetSelection | None = None) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [build_dbt_assets(SPECS), build_published_marts(MARTS)],
        resources={"leadpipe": leadpipe},
        selection=selection,
        raise_on_error=False,
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_a_build_reports_rows_and_checks_a_part_builds_alone_and_a_failed_test_is_named(
    leadpipe: LeadpipeResource, runtime: Runtime, add_aged: Any
) -> None:
    add_aged(1, 2, 3, is_landed=True)
    mirror(runtime.engine, runtime.lake, now=runtime.clock.now())

    whole = build(leadpipe)
    assert whole.success
    made = {event.asset_key: event.materialization.metadata for event in whole.get_asset_materialization_events()}
    assert set(made) == {spec.key for spec in SPECS.assets.values()} | {PUBLISHED}
    assert made[dg.AssetKey(["marts", "leads"])]["dagster/row_count"].value == 3
    assert all(metadata["watermark_xid"].value > 0 for key, metadata in made.items() if key != PUBLISHED)
    counted = {key for key, metadata in made.items() if "dagster/row_count" in metadata} - {PUBLISHED}
    assert counted == {spec.key for spec in SPECS.assets.values() if "table" in spec.kinds}
    assert made[PUBLISHED]["tables"].value == len(MARTS)
    assert checks(whole) == {spec.name: True for spec in SPECS.checks.values()}

    part = build(leadpipe, dg.AssetSelection.assets(SOURCE_ROI))
    assert part.success
    assert [event.asset_key for event in part.get_asset_materialization_events()] == [SOURCE_ROI]
    own = {spec.name for spec in SPECS.checks.values() if spec.asset_key == SOURCE_ROI}
    assert checks(part) == dict.fromkeys(own, True)

    wrong = {"month": date(2026, 3, 1), "source": "Zillow", "spend_usd": -5.0}
    runtime.lake.append("raw.spend", pa.Table.from_pylist([wrong], schema=SPEND_SCHEMA))
    failed = build(leadpipe, dg.AssetSelection.assets(SOURCE_ROI))
    assert not failed.success
    assert [name for name, passed in checks(failed).items() if not passed] == ["between_source_roi_spend_usd__0"]
