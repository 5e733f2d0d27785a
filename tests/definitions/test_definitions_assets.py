"""Every asset is owned, grouped and described; the lineage has no hole."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.ledger_mirror import TABLES
from assets.raw_fub import raw_fub
from leadpipe.crm import tables as crm_tables
from leadpipe.definitions import defs
from leadpipe.store.bootstrap import schemas
from leadpipe.store.tables.mirrored import MIRRORED

SPECS = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
GRAPH = defs.resolve_asset_graph()
PEOPLE = dg.AssetKey(["raw", "fub__people"])
MARTS = sorted(key for key, spec in SPECS.items() if spec.group_name == "marts")


def test_every_dependency_is_an_asset_that_is_defined() -> None:
    """A dependency on an unknown key loads as an external asset, so a renamed table would cut the lineage silently."""
    unknown = {(dep.asset_key, spec.key) for spec in SPECS.values() for dep in spec.deps if dep.asset_key not in SPECS}
    assert unknown == set()


@pytest.mark.parametrize("key", sorted(SPECS), ids=lambda key: key.to_user_string())
def test_an_asset_has_owner_group_kinds_and_a_word_on_its_grain(key: dg.AssetKey) -> None:
    spec = SPECS[key]
    assert spec.owners
    assert spec.group_name not in (None, "default")
    assert spec.kinds
    assert "one" in (spec.description or "").lower(), f"{key.to_user_string()} does not tell its grain"


@pytest.mark.parametrize("mart", MARTS, ids=lambda key: key.path[-1])
def test_lineage_runs_unbroken_from_raw_people_to_every_mart(mart: dg.AssetKey) -> None:
    seen: set[dg.AssetKey] = set()
    waiting = [mart]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += [dep.asset_key for dep in SPECS[key].deps]
    assert PEOPLE in seen


def test_there_are_marts() -> None:
    assert len(MARTS) >= 10


def test_every_table_of_the_lake_that_dbt_does_not_build_is_an_asset() -> None:
    missing = {name for name in schemas() if dg.AssetKey(name.split(".")) not in SPECS}
    assert missing == set()


def test_raw_and_mirrored_tables_are_those_that_are_written() -> None:
    assert {".".join(spec.key.path) for spec in raw_fub} == {table.name for table in crm_tables.ALL}
    assert set(TABLES) == set(MIRRORED)


def test_nothing_that_a_person_notices_depends_on_an_asset_run() -> None:
    """Sending, write-back and alerts are ops; an asset job or a backfill never holds one of them."""
    effects = {"answer_new_leads", "answer_replies", "send_due_messages", "enqueue_planned_rows", "carry_out_writes"}
    for assets_def in GRAPH.assets_defs:
        if assets_def.is_executable:
            assert assets_def.op.name not in effects


def test_tables_that_could_send_a_wrong_message_have_blocking_checks() -> None:
    blocking: dict[str, set[str]] = {}
    for key in GRAPH.asset_check_keys:
        if GRAPH.get(key).blocking:
            blocking.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    assert len(blocking["outreach/queue"]) == 5
    assert len(blocking["scoring/lead_scores"]) == 3
    assert blocking["raw/ledger__messages"] == {"mirror_agrees_with_the_ledger"}


@pytest.mark.parametrize("group", ["raw_fub", "raw_ledger", "outreach", "scoring"])
def test_what_others_rely_on_has_a_freshness_policy(group: str) -> None:
    # A view is as fresh as what it reads.
    tables = [spec for spec in SPECS.values() if spec.group_name == group and "view" not in spec.kinds]
    stale = [spec.key for spec in tables if spec.freshness_policy is None]
    assert [key for key in stale if key != dg.AssetKey(["outreach", "messages"])] == []


def test_the_job_that_rebuilds_the_marts_builds_every_model_of_dbt() -> None:
    """A model in a group that the job does not name would be a table nobody ever makes."""
    models = {key for key, spec in SPECS.items() if "dbt" in spec.kinds}
    job = defs.resolve_job_def("refresh_marts")
    assert models <= set(job.asset_layer.selected_asset_keys)
