"""dbt's models as asset specs, read from its manifest.

What lives here: manifest -> specs and checks. What does not: running dbt (``assets.dbt``, ``assets.dbt_build``).

dagster-dbt would derive much the same, but importing it brings in dbt itself: 1.2 s and 90 MB for every run and every
process that loads the definitions. So the specs are made here from the manifest alone, and dagster-dbt is imported
by the one step that runs dbt (``docs/dagster.md``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from leadpipe.errors import ConfigurationError

Node = Mapping[str, Any]
OWNERS = ["team:operations"]
# Marts are rebuilt every few minutes (a setting); an hour without means that they no longer are.
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15))


def load_manifest(path: Path) -> Node:
    """The manifest that ``make manifest`` wrote.

    Raises:
        ConfigurationError: it was never made; the message names the command.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(f"no dbt manifest at {path}; run `make manifest`") from error


def asset_key(node: Node) -> dg.AssetKey:
    """The table's real name: ``meta.dagster.asset_key`` where it is given (sources), else ``[schema, name]``."""
    given = _meta(node).get("asset_key")
    return dg.AssetKey(given or [node["schema"], node.get("alias") or node["name"]])


def _meta(node: Node) -> Mapping[str, Any]:
    meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
    return meta.get("dagster") or {}


@dataclass(frozen=True)
class DbtSpecs:
    """Specs of everything a manifest builds."""

    manifest: Node

    @cached_property
    def assets(self) -> dict[str, dg.AssetSpec]:
        """Specs of the models by dbt's unique id."""
        return {
            unique_id: self._asset(node)
            for unique_id, node in self.manifest["nodes"].items()
            if node["resource_type"] in ("model", "seed") and node["config"]["materialized"] != "ephemeral"
        }

    @cached_property
    def checks(self) -> dict[str, dg.AssetCheckSpec]:
        """Specs of the tests by dbt's unique id, each on the model it is about."""
        tests = {
            unique_id: node
            for unique_id, node in self.manifest["nodes"].items()
            if node["resource_type"] == "test" and self.tested(node) in self.assets
        }
        return {unique_id: self._check(node) for unique_id, node in tests.items()}

    def tested(self, node: Node) -> str | None:
        """The unique id of the model a test is about: the one it stands under, else the only one it reads."""
        read = set(node["depends_on"]["nodes"])
        return node.get("attached_node") or (next(iter(read)) if len(read) == 1 else None)

    def node(self, unique_id: str) -> Node:
        """A model or a source."""
        return self.manifest["nodes"].get(unique_id) or self.manifest["sources"][unique_id]

    def _asset(self, node: Node) -> dg.AssetSpec:
        schema, name = node["schema"], node.get("alias") or node["name"]
        materialized = node["config"]["materialized"]
        columns = [
            dg.TableColumn(column["name"], type=column.get("data_type") or "?", description=column.get("description"))
            for column in node["columns"].values()
        ]
        return dg.AssetSpec(
            asset_key(node),
            deps=[asset_key(self.node(parent)) for parent in node["depends_on"]["nodes"]],
            description=node["description"] or None,
            group_name=schema,
            owners=_meta(node).get("owners") or OWNERS,
            kinds={"dbt", "duckdb", materialized},
            code_version=node["checksum"]["checksum"][:12],
            freshness_policy=FRESHNESS if materialized == "table" else None,
            metadata={
                "dagster/table_name": f"lake.{schema}.{name}",
                **({"dagster/column_schema": dg.TableSchema(columns=columns)} if columns else {}),
            },
        )

    def _check(self, node: Node) -> dg.AssetCheckSpec:
        about = self.tested(node)
        assert about is not None
        others = {asset_key(self.node(parent)) for parent in node["depends_on"]["nodes"] if parent != about}
        return dg.AssetCheckSpec(
            node["name"],
            asset=asset_key(self.node(about)),
            description=node["description"] or None,
            additional_deps=sorted(others),
            blocking=node["config"]["severity"].lower() == "error",
        )
