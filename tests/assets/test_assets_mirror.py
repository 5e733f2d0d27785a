"""The mirror and the lake's upkeep as assets: rows once, a check that can fail, the steps' own figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from assets import ledger_mirror, maintenance, spend
from leadpipe.runtime import Runtime
from resources.runtime import LeadpipeResource

MIRROR = [ledger_mirror.ledger_mirror, ledger_mirror.mirror_agrees_with_the_ledger]
PEOPLE = ledger_mirror.key("people")


def written(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_rows_are_mirrored_once_and_counted_and_a_row_that_is_missing_fails_the_check(
    leadpipe: LeadpipeResource, runtime: Runtime, add_aged: Any
) -> None:
    add_aged(1, 2)
    found = []
    for _ in range(2):
        result = dg.materialize(MIRROR, resources={"leadpipe": leadpipe})
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        assert check.passed
        found.append(written(result, PEOPLE))
    assert [(row["rows_written"], row["dagster/row_count"]) for row in found] == [(2, 2), (0, 2)]
    assert found[1]["watermark_xid"] >= found[0]["watermark_xid"]

    with runtime.lake.write("raw.ledger__people") as connection:
        connection.execute("delete from raw.ledger__people where person_id = 2")
    judged = ledger_mirror.mirror_agrees_with_the_ledger(leadpipe)
    assert not judged.passed
    assert "people" in str(judged.metadata["missing_keys"])


def test_maintenance_reports_what_each_step_did(leadpipe: LeadpipeResource, runtime: Runtime, add_aged: Any) -> None:
    for person_id in (1, 2):
        add_aged(person_id)
        dg.materialize([ledger_mirror.ledger_mirror], resources={"leadpipe": leadpipe})
    result = dg.materialize([maintenance.lake_maintenance], resources={"leadpipe": leadpipe})
    assert result.success
    done = written(result, dg.AssetKey(["ops", "lake_maintenance"]))
    assert done["files_merged"] > 0
    assert done["longest_hold_seconds"] < 10


@pytest.mark.parametrize("csv", [None, "month,source,spend_usd\n2026-03,Zillow,1000\n2026-02,Zillow,oops\n"])
def test_spend_is_read_when_the_team_keeps_it(
    csv: str | None, leadpipe: LeadpipeResource, runtime: Runtime, tmp_path: Path
) -> None:
    if csv:
        (tmp_path / "spend.csv").write_text(csv)
        runtime.settings = runtime.settings.model_copy(update={"spend_csv": tmp_path / "spend.csv"})
    result = dg.materialize([spend.spend], resources={"leadpipe": leadpipe})
    assert result.success
    done = written(result, dg.AssetKey(["raw", "spend"]))
    if csv is None:
        assert "LEADPIPE_SPEND_CSV" in done["skipped"]
        return
    assert (done["dagster/row_count"], done["quarantined"]) == (1, 1)
    with runtime.engine.connect() as connection:
        assert connection.execute(text("select count(*) from ledger.quarantine")).scalar_one() == 1


def test_a_spend_file_without_a_column_fails_at_once_and_names_it(
    leadpipe: LeadpipeResource, runtime: Runtime, tmp_path: Path
) -> None:
    (tmp_path / "spend.csv").write_text("month,source\n2026-03,Zillow\n")
    runtime.settings = runtime.settings.model_copy(update={"spend_csv": tmp_path / "spend.csv"})
    with pytest.raises(dg.Failure, match="spend_usd") as failure:
        spend.spend(leadpipe)
    assert not failure.value.allow_retries
