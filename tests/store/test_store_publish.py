"""marts.duckdb: whole, swapped in at once, opened by a DuckDB that knows nothing of the lake."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from leadpipe.errors import TransientError
from leadpipe.settings import Settings
from leadpipe.store import publish
from leadpipe.store.lake import Lake

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)


@pytest.fixture
def marts(lake: Lake) -> Lake:
    """A lake with two marts, one a view, and a table that is none."""
    lake.append("marts.leads", pa.table({"person_id": [1, 2], "name": ["Ann", None]}))
    lake.append("raw.secrets", pa.table({"a": [1]}))
    with lake.connect() as connection:
        connection.execute("create view marts.named as select * from marts.leads where name is not null")
    return lake


def test_the_file_holds_every_mart_and_nothing_else(marts: Lake, tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    done = publish.publish(marts, path, now=NOW)
    assert done.rows_by_table == {"leads": 2, "named": 1}
    assert done.snapshot_id == marts.snapshot_id()
    assert done.size_bytes == path.stat().st_size
    with duckdb.connect(str(path), read_only=True) as file:
        assert file.execute("select table_name from duckdb_tables() order by 1").fetchall() == [
            ("leads",), ("named",), ("published",),
        ]  # fmt: skip
        assert file.execute("from marts.leads order by person_id").fetchall() == [(1, "Ann"), (2, None)]
        assert file.execute("from marts.published").fetchall() == [(done.snapshot_id, NOW)]
    assert [child.name for child in tmp_path.iterdir()] == ["marts.duckdb"]


def test_another_process_opens_it_with_no_setting_of_ours(marts: Lake, tmp_path: Path) -> None:
    path = tmp_path / "it's here" / "marts.duckdb"
    publish.publish(marts, path, now=NOW)
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql('from leads').shape)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 2)"


def test_a_reader_keeps_the_old_file_and_the_next_one_gets_the_new(marts: Lake, tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    publish.publish(marts, path, now=NOW)
    reader = duckdb.connect(str(path), read_only=True)
    marts.append("marts.leads", pa.table({"person_id": [3]}))
    publish.publish(marts, path, now=NOW)
    assert reader.execute("select count(*) from leads").fetchone() == (2,)
    reader.close()
    with duckdb.connect(str(path), read_only=True) as newer:
        assert newer.execute("select count(*) from leads").fetchone() == (3,)


def test_without_marts_the_old_file_stays_and_the_error_says_what_to_do(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    path.write_bytes(b"the file before")
    with pytest.raises(TransientError, match="no marts yet; run dbt first"):
        publish.publish(lake, path, now=NOW)
    assert path.read_bytes() == b"the file before"
    assert [child.name for child in tmp_path.iterdir()] == ["marts.duckdb"]


def test_a_place_that_cannot_be_written_leaves_the_old_file(marts: Lake, tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    publish.publish(marts, path, now=NOW)
    before = path.read_bytes()
    # A folder stands where the part is to be made.
    blocked = publish.part_of(path)
    (blocked / "full").mkdir(parents=True)
    with pytest.raises(TransientError, match="the file before it stays"):
        publish.publish(marts, path, now=NOW)
    assert path.read_bytes() == before


def test_it_lies_in_the_home(settings: Settings) -> None:
    assert publish.path_of(settings) == settings.home / "marts.duckdb"
