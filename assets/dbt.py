"""The dbt project as one step: staging, intermediate, marts.

What lives here: the step's place in the graph. What does not: its specs (``dbt_specs``), running dbt (``dbt_build``),
the models (``dbt/``).
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.dbt_specs import DbtSpecs, load_manifest
from leadpipe.store.dbt import MANIFEST
from resources.runtime import LeadpipeResource

# A build holds the marts alone, so a second one would only wait inside a process of its own.
POOL = "marts"


def read_specs(manifest_path: Path = MANIFEST) -> DbtSpecs:
    """The project's specs.

    Raises:
        ConfigurationError: there is no manifest; the message names the make target.
    """
    return DbtSpecs(load_manifest(manifest_path))


def build_dbt_assets(specs: DbtSpecs) -> dg.AssetsDefinition:
    """Every model of the project as one step that can run a part of itself."""

    @dg.multi_asset(
        name="dbt_models",
        specs=[spec.replace_attributes(skippable=True) for spec in specs.assets.values()],
        check_specs=list(specs.checks.values()),
        can_subset=True,
        pool=POOL,
    )
    def dbt_models(context: dg.AssetExecutionContext, leadpipe: LeadpipeResource) -> Iterator[object]:
        """``dbt build`` on the lake. Grains are in the models' descriptions."""
        from assets.dbt_build import build

        yield from build(context, leadpipe.runtime, specs)

    return dbt_models
