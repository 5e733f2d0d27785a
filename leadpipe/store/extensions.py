"""DuckDB's extensions, installed from wheels into LEADPIPE_HOME.

What lives here: the copying and the connection settings that keep DuckDB from downloading. What does not: attaching.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from leadpipe.errors import ConfigurationError

NAMES = ("ducklake", "postgres_scanner", "httpfs")


def folder(home: Path) -> Path:
    """Where the extensions of this home lie."""
    return home.absolute() / "duckdb"


def install(home: Path) -> Path:
    """Copy the extension files of the installed wheels, each at most once; returns the extension directory.

    Raises:
        ConfigurationError: a wheel is missing or is of another DuckDB version.
    """
    import duckdb

    version = f"v{duckdb.__version__}"
    connection = duckdb.connect(config=connection_config(home))
    try:
        platform = connection.execute("pragma platform").fetchall()[0][0]
    finally:
        connection.close()
    target = folder(home) / version / platform
    target.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        file = f"{name}.duckdb_extension"
        if (target / file).exists():
            continue
        spec = find_spec(f"duckdb_extension_{name}")
        source = Path(spec.origin).parent / "extensions" / version / file if spec and spec.origin else None
        if source is None or not source.exists():
            raise ConfigurationError(f"no DuckDB {version} extension {name}; run `make install`")
        part = target / f".{file}.{os.getpid()}"
        shutil.copyfile(source, part)
        part.rename(target / file)
    return folder(home)


def connection_config(home: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Settings for every DuckDB connection: our extension folder, and never a download."""
    return {
        "extension_directory": str(folder(home)),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "true",
    }
