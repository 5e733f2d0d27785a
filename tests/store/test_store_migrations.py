"""The migrations: they make exactly the tables of the code, and an older ledger keeps its rows."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text

from leadpipe.errors import ConfigurationError
from leadpipe.store import bootstrap, ledger, mirror
from leadpipe.store.lake import Lake
from leadpipe.store.tables.base import metadata
from leadpipe.store.tables.mirrored import MIRRORED
from leadpipe.store.urls import sqlalchemy_url

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
# Everything that makes a table behave as it does, by PostgreSQL's own words.
CATALOGUE = {
    "columns": """
        select table_name, column_name, udt_name, is_nullable, column_default, is_identity, identity_generation
        from information_schema.columns where table_schema = 'ledger'""",
    "constraints": """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'ledger'::regnamespace and contype <> 'n'""",
    "indexes": "select tablename, indexname, indexdef from pg_indexes where schemaname = 'ledger'",
}


@pytest.fixture
def empty_database(server_url: str, new_database: Callable[[str], str]) -> Generator[Callable[[], str]]:
    """A function that makes a database with nothing in it."""
    made: list[str] = []

    def create() -> str:
        url = new_database("template1")
        made.append(url)
        return url

    yield create
    with psycopg.connect(server_url, autocommit=True) as connection:
        for url in made:
            name = url.partition("?")[0].rpartition("/")[2]
            connection.execute(f"drop database if exists {name} with (force)".encode())


def catalogue(url: str) -> dict[str, set[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        found = {what: set(connection.execute(sql.encode()).fetchall()) for what, sql in CATALOGUE.items()}
    return {
        what: {row for row in rows if not str(row[0]).removeprefix("ledger.").startswith("alembic")}
        for what, rows in found.items()
    }


def test_the_migrations_make_exactly_the_tables_of_the_code(empty_database: Callable[[], str]) -> None:
    migrated, declared = empty_database(), empty_database()
    ledger.upgrade(migrated)
    engine = create_engine(sqlalchemy_url(declared))
    with engine.begin() as connection:
        connection.execute(text("create schema ledger"))
        metadata.create_all(connection)
    engine.dispose()

    found, wanted = catalogue(migrated), catalogue(declared)

    for what in CATALOGUE:
        assert found[what] - wanted[what] == set(), f"{what} that only the migrations make"
        assert wanted[what] - found[what] == set(), f"{what} that no migration makes"


def test_every_mirrored_table_whose_rows_can_change_renews_its_transaction_id(ledger_engine: Engine) -> None:
    append_only = {
        "human_actions", "message_events", "verdicts", "suppressions", "consents", "qualifications", "quarantine",
        "token_usage", "decisions",
    }  # fmt: skip
    with ledger_engine.connect() as connection:
        stamped = set(
            connection.execute(
                text(
                    "select event_object_table from information_schema.triggers "
                    "where trigger_schema = 'ledger' and trigger_name = 'stamp_xid'"
                )
            ).scalars()
        )
    assert stamped == set(MIRRORED) - append_only


def test_many_processes_may_upgrade_at_once(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ledger.upgrade(url), range(4)))
    engine = ledger.connect(url)
    assert ledger.current_revision(engine) == ledger.head_revision()
    engine.dispose()


def test_a_ledger_that_was_never_set_up_has_no_revision(empty_database: Callable[[], str]) -> None:
    engine = ledger.connect(empty_database())
    assert ledger.current_revision(engine) is None
    engine.dispose()


def test_a_ledger_newer_than_the_code_is_refused(ledger_engine: Engine, database_url: str) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.alembic_version set version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="stands at revision 9999, which this version of leadpipe does not"):
        ledger.upgrade(database_url)


OLD_ROWS = """
insert into ledger.people (person_id, crm_created_at, crm_updated_at, first_seen_at, refreshed_at)
  values (7, :now, :now, :now, :now);
insert into ledger.contact_points (kind, address, created_at) values ('email', 'ada@example.com', :now);
insert into ledger.person_contact_points (person_id, contact_point_id) values (7, 1);
insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at)
  values (7, 'new_lead', '1', 1, :now);
insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, channel, purpose,
    body, state, due_at, created_at, changed_at)
  values ('00000000-0000-0000-0000-000000000001', 7, 1, 1, 'new_lead', 'welcome', 1, 'email', 'inquiry_response',
    'Hello', 'accepted', :now, :now, :now);
insert into ledger.attempts (message_id, worker, provider, started_at)
  values ('00000000-0000-0000-0000-000000000001', 'w', 'ses', :now);
"""


def test_an_older_ledger_is_upgraded_with_its_rows_and_the_mirror_takes_what_is_newly_mirrored(
    empty_database: Callable[[], str], lake: Lake
) -> None:
    url = empty_database()
    ledger.upgrade(url, "0001")
    engine = ledger.connect(url)
    with engine.begin() as connection:
        for statement in OLD_ROWS.split(";\n"):
            if statement.strip():
                connection.execute(text(statement), {"now": NOW})
    assert ledger.current_revision(engine) == "0001"
    # What the older version had mirrored: everything so far.
    with engine.begin() as connection:
        mark = connection.execute(text("select pg_current_xact_id()::text")).scalar_one()
        connection.execute(
            text(
                "insert into ledger.watermarks values ('mirror', jsonb_build_object('id', cast(:mark as bigint)), :now)"
            ),
            {"mark": mark, "now": NOW},
        )

    ledger.upgrade(url)

    assert ledger.current_revision(engine) == ledger.head_revision()
    with engine.connect() as connection:
        kept = connection.execute(
            text(
                "select m.body, a.provider, c.address from ledger.messages m "
                "join ledger.attempts a on a.message_id = m.id "
                "join ledger.contact_points c on c.id = m.contact_point_id"
            )
        ).one()
    assert tuple(kept) == ("Hello", "ses", "ada@example.com")
    bootstrap.create_tables(lake)
    done = mirror.mirror(engine, lake, now=NOW)
    counts = {table: count for table, count in done.count_by_table.items() if count}
    assert counts == {"attempts": 1, "contact_points": 1, "person_contact_points": 1}
    assert "address" not in lake.query("from raw.ledger__contact_points").column_names
    engine.dispose()


def test_a_lake_of_an_older_version_gets_the_columns_that_came_since(lake: Lake) -> None:
    bootstrap.create_tables(lake)
    with lake.write("scoring.lead_scores") as connection:
        connection.execute("alter table scoring.lead_scores drop column is_prior")
        connection.execute("insert into scoring.lead_scores (person_id, score_pct) values (7, 12.5)")
        connection.execute("drop table raw.spend")

    bootstrap.create_tables(lake)

    rows = lake.query("select person_id, score_pct, is_prior from scoring.lead_scores").to_pylist()
    assert rows == [{"person_id": 7, "score_pct": 12.5, "is_prior": None}]
    assert lake.has_table("raw.spend")
    before = lake.snapshot_id()
    bootstrap.create_tables(lake)
    assert lake.snapshot_id() == before, "nothing was missing, so nothing is committed"
