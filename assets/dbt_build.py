"""Running dbt for Dagster: dagster-dbt streams its events as materializations and check results.

What lives here: one ``dbt build`` under the lake's lock. What does not: specs (``dbt_specs``). Only the step that runs
dbt imports this module, since it brings in all of dbt.

``DbtCliResource.cli`` would first start ``dbt --version`` and build an adapter of its own, 4 s of every build on two
cores; the invocation below is what it starts after that.
"""

import os
from collections.abc import Iterator
from importlib.metadata import version as installed_version
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.core.dbt_cli_invocation import DbtCliInvocation
from packaging.version import Version

from assets.dbt_specs import DbtSpecs, asset_key
from leadpipe.crm import watermark
from leadpipe.runtime import Runtime
from leadpipe.store import dbt
from leadpipe.store.row_counts import row_counts

# The source whose mark says below which transaction everything is in the lake.
MIRROR = "mirror"


class SpecTranslator(DagsterDbtTranslator):
    """Tells dagster-dbt the keys of our specs."""

    def __init__(self, specs: DbtSpecs) -> None:
        super().__init__()
        self._specs = specs

    def get_asset_spec(self, manifest: Any, unique_id: str, project: Any) -> dg.AssetSpec:
        """The spec of a model; of a source, its key."""
        del manifest, project
        return self._specs.assets.get(unique_id) or dg.AssetSpec(asset_key(self._specs.node(unique_id)))

    def get_asset_key(self, dbt_resource_props: Any) -> dg.AssetKey:
        """The key of a model or a source."""
        return asset_key(dbt_resource_props)


def selection(context: dg.AssetExecutionContext, specs: DbtSpecs) -> list[str]:
    """Arguments of dbt for the assets and checks of this step; none when it is all of them.

    A part names its tests one by one: by itself dbt would add tests of models outside of it, which may not be built.
    """
    models = {spec.key: specs.node(unique_id)["name"] for unique_id, spec in specs.assets.items()}
    tests = {spec.key: specs.manifest["nodes"][unique_id]["name"] for unique_id, spec in specs.checks.items()}
    if set(models) == context.selected_asset_keys and set(tests) == context.selected_asset_check_keys:
        return []
    names = [models[key] for key in context.selected_asset_keys]
    names += [tests[key] for key in context.selected_asset_check_keys]
    return ["--select", *sorted(names), "--indirect-selection", "empty"]


def build(context: dg.AssetExecutionContext, runtime: Runtime, specs: DbtSpecs) -> Iterator[object]:
    """Run ``dbt build`` and pass its events on, tables with their row counts.

    Raises:
        DagsterDbtCliRuntimeError: a model or a test failed; what dbt said is in the message.
    """
    translator = SpecTranslator(specs)
    target = runtime.settings.home.absolute() / "dbt"
    folders = ["--project-dir", str(dbt.PROJECT), "--profiles-dir", str(dbt.PROJECT), "--target-path", str(target)]
    with dbt.locked(runtime.database_url):
        mark = watermark.read_int(runtime.engine, MIRROR)
        invocation = DbtCliInvocation.run(
            args=[dbt.executable(), "build", *folders, "--log-path", str(target / "logs"), *selection(context, specs)],
            env={
                **os.environ,
                **dbt.environment(runtime.settings, runtime.database_url),
                "DBT_LOG_FORMAT": "json",
                "PYTHONUNBUFFERED": "1",
            },
            manifest=specs.manifest,
            dagster_dbt_translator=translator,
            project_dir=dbt.PROJECT,
            target_path=target,
            raise_on_error=True,
            context=context,
            adapter=None,
            cli_version=Version(installed_version("dbt-core")),
        )
        for message in invocation.stream_raw_events():
            for event in message.to_default_asset_events(specs.manifest, translator, context, target):
                yield _counted(event, runtime, mark) if isinstance(event, dg.Output) else event


def _counted(output: dg.Output[Any], runtime: Runtime, mark: int | None) -> dg.Output[Any]:
    """The same event with how far the ledger was mirrored, and a table's row count; a view has none until asked."""
    table = output.output_name.replace("__", ".", 1)
    counts = row_counts(runtime.engine, [table])
    known = {"dagster/row_count": counts[table]} if table in counts else {}
    return output.with_metadata({**output.metadata, **known, "watermark_xid": mark or 0})
