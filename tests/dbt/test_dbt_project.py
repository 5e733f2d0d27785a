"""The dbt project itself: described throughout, its rules hold, a rebuild writes what changed and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from leadpipe.errors import TransientError
from leadpipe.store import dbt, mirror
from tests.dbt.seeding import NOW, Seeded, run_dbt
from tests.dbt.team import ANN, DEE, message_id

CLOCK_SQL = ("now(", "current_timestamp", "current_date", "get_current_timestamp", "today(")


@pytest.fixture(scope="session")
def manifest(seeded: Seeded) -> dict[str, Any]:
    """dbt's manifest of the build."""
    return json.loads((seeded.settings.home / "dbt" / "manifest.json").read_bytes())


def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Models by their table's name."""
    return {
        f"{node['schema']}.{node['alias']}": node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }


def test_every_model_says_its_grain_and_describes_every_column(seeded: Seeded, manifest: dict[str, Any]) -> None:
    built: dict[str, list[str]] = {}
    for row in seeded.rows(
        "select schema_name || '.' || table_name as name, column_name as col from duckdb_columns() "
        "where database_name = 'lake' order by column_index"
    ):
        built.setdefault(row["name"], []).append(row["col"])
    for name, node in models(manifest).items():
        assert node["description"].startswith("One row per "), f"{name} does not say its grain"
        described = {column["name"] for column in node["columns"].values() if column["description"].strip()}
        assert described == set(built[name]), f"{name}: {described ^ set(built[name])}"


def test_a_source_that_has_no_staging_model_describes_its_columns_itself(
    seeded: Seeded, manifest: dict[str, Any]
) -> None:
    for source in manifest["sources"].values():
        if source["source_name"] not in ("fub", "ledger"):
            name = f"{source['schema']}.{source['name']}"
            described = [column["name"] for column in source["columns"].values() if column["description"]]
            assert described == seeded.lake.query(f"from {name} limit 0").column_names, name


def test_every_source_table_says_its_grain_and_its_name_in_dagster(manifest: dict[str, Any]) -> None:
    assert len(manifest["sources"]) > 40
    for source in manifest["sources"].values():
        assert source["description"].startswith("One row per "), source["unique_id"]
        assert source["config"]["meta"]["dagster"]["asset_key"] == [source["schema"], source["name"]]


def test_every_mart_is_tested_by_key_and_read_by_an_exposure(manifest: dict[str, Any]) -> None:
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if (node.get("test_metadata") or {}).get("name") in ("unique", "unique_together")
    }
    histories = {"model.leadpipe.lead_history", "model.leadpipe.message_history"}  # one singular test for both
    exposed = {parent for node in manifest["exposures"].values() for parent in node["depends_on"]["nodes"]}
    marts = {node["unique_id"] for name, node in models(manifest).items() if name.startswith("marts.")}
    assert len(marts) == 16
    assert marts - tested == histories
    assert marts <= exposed
    assert {node["name"] for node in manifest["exposures"].values()} == {"analysts", "lead_scores", "outreach_queue"}


def test_no_model_asks_the_database_for_the_time(manifest: dict[str, Any]) -> None:
    for name, node in models(manifest).items():
        assert not any(word in node["raw_code"].lower() for word in CLOCK_SQL), name


def test_unit_tests_and_data_tests_ran_and_hold(seeded: Seeded) -> None:
    assert "WARN=0 ERROR=0 SKIP=0" in seeded.said
    results = json.loads((seeded.settings.home / "dbt" / "run_results.json").read_bytes())["results"]
    kinds = [result["unique_id"].partition(".")[0] for result in results if result["status"] == "pass"]
    assert kinds.count("unit_test") >= 17
    assert kinds.count("test") >= 36


def test_the_build_needed_no_home_folder_and_no_network(seeded: Seeded) -> None:
    assert not any(seeded.empty_home.iterdir()), "DuckDB or dbt kept something in the home folder"


def test_nothing_is_committed_when_nothing_changed(seeded: Seeded) -> None:
    before = seeded.lake.snapshot_id()
    seeded.build("run")
    assert seeded.lake.snapshot_id() == before


PAUSE = text("update ledger.people set automation_paused_at = :at where person_id = :person")


def pause(seeded: Seeded, at: datetime | None) -> None:
    """Pause Ann's automation, or let it go on, and rebuild the leads."""
    with seeded.engine.begin() as connection:
        connection.execute(PAUSE, {"at": at, "person": ANN})
    mirror.mirror(seeded.engine, seeded.lake, now=NOW)
    seeded.build("run", "--select", "leads")


def test_a_change_rewrites_the_rows_it_concerns(seeded: Seeded) -> None:
    """Undone at the end, as the other tests read the same lake."""
    before = seeded.rows("from marts.leads order by person_id")
    since = seeded.lake.snapshot_id()

    pause(seeded, NOW)

    after = seeded.rows("from marts.leads order by person_id")
    ann = next(row for row in before if row["person_id"] == ANN)
    assert [row for row in after if row not in before] == [ann | {"is_automation_paused": True}]
    touched = seeded.rows(
        "select distinct person_id from ducklake_table_changes('lake', 'marts', 'leads', ?, ?)",
        since + 1, seeded.lake.snapshot_id(),
    )  # fmt: skip
    assert touched == [{"person_id": ANN}]
    pause(seeded, None)
    assert seeded.rows("from marts.leads order by person_id") == before


def test_a_message_after_a_stop_fails_the_build_by_name(seeded: Seeded) -> None:
    with seeded.engine.begin() as connection:
        attempt = connection.execute(
            text(
                "insert into ledger.attempts (message_id, worker, provider, started_at) "
                "values (:message, 'w', 'twilio', :at) returning id"
            ),
            {"message": message_id(9), "at": NOW},
        ).scalar_one()
    mirror.mirror(seeded.engine, seeded.lake, now=NOW)
    try:
        with pytest.raises(TransientError, match="nothing_is_handed_over_after_a_suppression") as caught:
            seeded.build("test", "--select", "nothing_is_handed_over_after_a_suppression")
        assert "Got 1 result" in str(caught.value)
    finally:
        with seeded.lake.write("raw.ledger__attempts") as connection:
            connection.execute("delete from raw.ledger__attempts where id = ?", [attempt])
        with seeded.engine.begin() as connection:
            connection.execute(text("delete from ledger.attempts where id = :id"), {"id": attempt})
    assert seeded.rows("select count(*) as n from marts.leads where person_id = ?", DEE) == [{"n": 1}]


def test_a_table_shows_its_meaning_to_whoever_describes_it(seeded: Seeded) -> None:
    assert seeded.rows("select comment from duckdb_tables() where schema_name = 'marts' and table_name = 'leads'") == [
        {"comment": "One row per lead: a CRM person who was not merged into another and is not deleted."}
    ]
    assert seeded.rows(
        "select comment from duckdb_columns() "
        "where schema_name = 'marts' and table_name = 'source_roi' and column_name = 'roi'"
    ) == [{"comment": "(commission - spend) / spend; null when spend is not known or 0."}]


def test_a_failing_run_says_what_dbt_said(seeded: Seeded) -> None:
    with pytest.raises(TransientError, match="No such command 'nonsense'"):
        run_dbt(seeded.settings, seeded.database_url, "nonsense")


def test_the_manifest_is_made_with_no_environment_no_home_and_no_network(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    code = (
        "import pathlib, sys; from leadpipe.store import dbt; from leadpipe.cli import manifest; "
        f"dbt.MANIFEST = pathlib.Path({str(manifest)!r}); sys.exit(manifest.main())"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [*_without_network(), sys.executable, "-c", code],
        env={"HOME": str(home)},
        cwd=dbt.PROJECT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(manifest.read_bytes())["nodes"]) > 80
    assert not any(home.iterdir())


def _without_network() -> list[str]:
    """A prefix that runs a program in a network namespace of its own, where the system allows that."""
    prefix = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    try:
        allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return prefix if allowed else []
