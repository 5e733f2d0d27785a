"""``python -m leadpipe.cli.manifest``: dbt's manifest, which the Dagster definitions read.

What lives here: parsing the project into ``dbt/target/manifest.json``. What does not: running a model (``store.dbt``).
Parsing opens no connection, so it works in a fresh clone, with no environment and no network.
"""

from __future__ import annotations

import os
import sys

from leadpipe.store import dbt


def main() -> int:
    """Write the manifest; 0 when it is there, 1 with dbt's own words when the project does not parse."""
    from dbt.cli.main import dbtRunner

    # dbt resolves the environment while it parses; a value that is set may name anything, it is not connected to.
    os.environ.update(dbt.placeholder_environment())
    project = str(dbt.PROJECT)
    result = dbtRunner().invoke([
        "--quiet", "parse", "--no-partial-parse",
        "--project-dir", project, "--profiles-dir", project,
        "--target-path", str(dbt.MANIFEST.parent), "--log-path", str(dbt.MANIFEST.parent / "logs"),
    ])  # fmt: skip
    if not result.success or not dbt.MANIFEST.exists():
        print(f"dbt did not parse {project}: {result.exception or 'see the lines above'}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
