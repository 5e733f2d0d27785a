"""Tables as Dagster assets, one module a source or a step. They write the lake, never anything a person notices."""

import warnings

# Dagster says so of `backfill_policy=` and of its own sensors at every load; the versions are pinned.
warnings.filterwarnings("ignore", message="Parameter .* is currently in beta")
