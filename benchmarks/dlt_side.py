"""The same account read by dlt's REST source, as its documentation has it: people and events, side by side.

What lives here: the pipeline, run by an interpreter of its own that has dlt (``sync`` makes it; leadpipe does not need
dlt). What does not: anything of leadpipe.

    python dlt_side.py BASE_URL API_KEY SYSTEM SYSTEM_KEY FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(base_url: str, api_key: str, system: str, system_key: str, folder: str) -> None:
    """Read everything into a DuckDB file, and print how long it took and how many rows came."""
    import dlt
    import duckdb
    from dlt.sources.rest_api import rest_api_source

    begun = time.perf_counter()
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{base_url}/",
                "auth": {"type": "http_basic", "username": api_key, "password": ""},
                "headers": {"X-System": system, "X-System-Key": system_key},
                "paginator": {"type": "cursor", "cursor_path": "_metadata.next", "cursor_param": "next"},
            },
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge", "parallelized": True},
            "resources": [
                {
                    "name": "people",
                    "max_table_nesting": 0,
                    "endpoint": {
                        "path": "people",
                        "data_selector": "people",
                        "params": {
                            "limit": 100,
                            "fields": "allFields",
                            "includeTrash": "true",
                            "includeUnclaimed": "true",
                        },
                    },
                },
                {
                    "name": "events",
                    "max_table_nesting": 0,
                    "endpoint": {"path": "events", "data_selector": "events", "params": {"limit": 100}},
                },
            ],
        }
    )
    path = Path(folder) / "dlt.duckdb"
    pipeline = dlt.pipeline(
        pipeline_name="fub",
        pipelines_dir=str(Path(folder) / "pipelines"),
        destination=dlt.destinations.duckdb(str(path)),
        dataset_name="fub",
    )
    pipeline.run(source)
    seconds = time.perf_counter() - begun
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = {
            name: connection.execute(f"select count(*) from fub.{name}").fetchone()[0] for name in ("people", "events")
        }
    print(json.dumps({"seconds": round(seconds, 1), **rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
