"""Every place where a person's data can lie is declared, and a new one is noticed."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from leadpipe.privacy.lake_rules import LAKE, Found
from leadpipe.privacy.ledger_rules import LEDGER
from leadpipe.privacy.retention import RULES
from leadpipe.store import dbt
from leadpipe.store.bootstrap import schemas
from leadpipe.store.tables.base import metadata
from leadpipe.store.tables.mirrored import MIRRORED


def test_every_table_of_the_ledger_is_in_a_rule() -> None:
    assert set(LEDGER) == {table.name for table in metadata.tables.values()}


def test_every_table_of_the_lake_and_of_dbt_is_in_a_rule() -> None:
    nodes = json.loads(dbt.MANIFEST.read_text())["nodes"].values()
    built = {
        f"{node['schema']}.{node['name']}"
        for node in nodes
        if node["resource_type"] == "model" and node["config"]["materialized"] != "view"
    }
    assert len(built) > 5
    assert set(LAKE) == {*schemas(), *built}


@pytest.mark.parametrize("table", sorted(LEDGER))
def test_every_column_that_can_hold_words_is_cleared_or_declared_to_hold_none(table: str) -> None:
    rule, columns = LEDGER[table], metadata.tables[f"ledger.{table}"].c
    named = {*rule.clear, *rule.keeps.split()}
    assert named <= set(columns.keys())
    if rule.rows and not rule.is_deleted:
        wordy = {
            c.name for c in columns if isinstance(c.type, Text | JSONB | LargeBinary | ARRAY) and "ids" not in c.name
        }
        assert wordy - named == set()
        assert rule.stays, "what is left needs a reason"


def test_a_table_with_the_persons_id_is_never_declared_to_hold_nothing() -> None:
    for name, table in metadata.tables.items():
        if {"person_id", "contact_point_id", "message_id"} & set(table.c.keys()):
            assert LEDGER[name.removeprefix("ledger.")].rows, name
    for name, schema in schemas().items():
        if "person_id" in schema.names:
            assert LAKE[name].found is not Found.NEVER, name


def test_retention_names_tables_and_columns_that_exist_and_keeps_what_the_law_wants() -> None:
    for rule in RULES:
        if not rule.is_lake:
            assert set(rule.clear) <= set(metadata.tables[f"ledger.{rule.table}"].c.keys())
        assert rule.keep.days >= 90
    kept_for_ever = {"suppressions", "consents", "erased_addresses", "erasures", "audit", "audit_seals", "acts"}
    assert not kept_for_ever & {rule.table for rule in RULES}
    years = {rule.table: rule.keep.days for rule in RULES if rule.table in ("messages", "verdicts", "decisions")}
    assert set(years.values()) == {5 * 365}
    assert {rule.table for rule in RULES if not rule.is_lake} - {"alerts"} <= set(MIRRORED)
