"""DuckDB's extensions come from the wheels: no download, nothing in the home folder, on any connection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.store import extensions
from leadpipe.store.lake import Lake

ATTACH = """
import sys
from pathlib import Path
from leadpipe.store import extensions
from leadpipe.store.lake import Lake
url, data, home = sys.argv[1:]
extensions.install(Path(home))
lake = Lake(database_url=url, data_path=data, home=Path(home))
with lake.connect() as connection:
    connection.execute("load httpfs")
    connection.execute("create table raw.made_offline as select 42 as answer")
print(lake.query("from raw.made_offline").to_pylist())
"""


def without_network() -> list[str]:
    """A prefix that runs a program in a network namespace of its own, where the system allows that."""
    prefix = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    try:
        allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return prefix if allowed else []


def test_a_lake_is_written_and_read_with_an_empty_home_and_no_network(
    lake: Lake, tmp_path: Path, server_home: Path
) -> None:
    home, user_home = server_home / f"offline-{os.getpid()}", tmp_path / "home"
    user_home.mkdir()
    done = subprocess.run(
        [*without_network(), sys.executable, "-c", ATTACH, lake.database_url, lake.data_path, str(home)],
        env={"HOME": str(user_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[{'answer': 42}]", done.stderr
    assert not any(user_home.iterdir())
    assert lake.query("from raw.made_offline").to_pylist() == [{"answer": 42}]


def test_installing_again_copies_nothing(tmp_path: Path) -> None:
    extensions.install(tmp_path)
    found = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.duckdb_extension")}
    assert {path.name.partition(".")[0] for path in found} == set(extensions.NAMES)
    assert all(path.parts[-3] == f"v{duckdb.__version__}" for path in found)
    extensions.install(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.duckdb_extension")} == found
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "no half-copied file is left"


def test_a_missing_wheel_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "NAMES", ("no_such_extension",))
    with pytest.raises(ConfigurationError, match=r"no DuckDB v.* extension no_such_extension; run `make install`"):
        extensions.install(tmp_path)


def test_a_connection_never_downloads(tmp_path: Path) -> None:
    with (
        duckdb.connect(config=extensions.connection_config(tmp_path)) as connection,
        pytest.raises(duckdb.Error, match="ducklake"),
    ):
        connection.execute("attach 'ducklake:x.ducklake' as lake")
