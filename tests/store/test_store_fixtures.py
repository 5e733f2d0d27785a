"""The shared fixtures give each test its own database and lake."""

from __future__ import annotations

import pyarrow as pa
import pytest
from sqlalchemy import Engine, insert, select

from leadpipe.settings import Settings
from leadpipe.store.lake import Lake
from leadpipe.store.tables.running import controls


@pytest.mark.parametrize("turn", [1, 2])
def test_what_one_test_writes_the_next_does_not_see(ledger_engine: Engine, lake: Lake, clock, turn: int) -> None:
    with ledger_engine.begin() as connection:
        assert connection.execute(select(controls.c.key)).scalars().all() == ["right_to_send"]
        connection.execute(insert(controls).values(key="k", value={}, changed_at=clock.now()))
    assert not lake.has_table("raw.rows")
    lake.append("raw.rows", pa.table({"a": [turn]}))
    assert lake.query("select a from raw.rows").to_pylist() == [{"a": turn}]


def test_settings_name_the_database_of_the_test(settings: Settings, database_url: str) -> None:
    assert settings.database_url == database_url
