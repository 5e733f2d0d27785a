"""Fixtures that every room shares: one PostgreSQL server a session, and a fresh database and lake for each test.

What lives here: the server, the databases cloned from migrated templates, the lake, settings and a clock that stands
still. What does not: any room's rows or fakes (those stand beside the tests that use them).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pydantic import SecretStr
from xdist.scheduler import LoadFileScheduling

from leadpipe.clock import FixedClock, WallClock
from leadpipe.messaging.take_over import take_first
from leadpipe.settings import Settings, StateValue
from leadpipe.store import extensions, ledger
from leadpipe.store.lake import CATALOG_SCHEMA, Lake
from leadpipe.store.server import EmbeddedServer

if TYPE_CHECKING:
    from sqlalchemy import Engine

LEDGER_TEMPLATE = "template_ledger"
LAKE_TEMPLATE = "template_lake"
# What takes longest begins first, so that no worker is left alone with it at the end.
SLOWEST_FIRST = (
    "test_chaos_runs",
    "test_assets_dbt",
    "test_privacy_erase",
    "test_crm_restored",
    "test_store_backup",
    "test_crm_sweep",
    "test_simulation",
)
# These look at one build of the marts, which takes as long as all their tests.
SHARED_BUILD = ("test_dbt_project", "test_dbt_marts", "test_analysts_docs")
# A worker's databases and lakes take a few hundred megabytes at a time.
ENOUGH_BYTES = 4 * 2**30
# Nothing a test writes must survive the machine; the durability settings are what a commit costs.
NOT_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files come first; the order of the others stays."""
    order = {name: number for number, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


class ByFile(LoadFileScheduling):
    """Each file is one worker's, and those that share a build are the same worker's."""

    def _split_scope(self, nodeid: str) -> str:
        name = super()._split_scope(nodeid)
        return "marts" if Path(name).stem in SHARED_BUILD else name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """Ours where files are to be shared out; xdist's own where another way was asked for."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def database_named(server_url: str, name: str) -> str:
    """The same server, another database."""
    before, _, after = server_url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{after}"


def _admin(server_url: str, *statements: str) -> None:
    with psycopg.connect(database_named(server_url, "postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _short_lived() -> Path:
    """Where a session's files belong: memory, where there is enough.

    A database of a test is 300 files that live for a second. ext4 gives no inode out again for some minutes after its
    file was removed, and looks at all of those again for every new file: half of a session's time was spent there.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ENOUGH_BYTES
    return memory if has_room else Path("/tmp")


@pytest.fixture(scope="session")
def server_home() -> Generator[Path]:
    """A home that the account PostgreSQL runs as may enter; pytest's own tmp_path is closed to it when root runs."""
    home = Path(tempfile.mkdtemp(prefix="leadpipe-tests-", dir=_short_lived()))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def server(server_home: Path) -> Generator[EmbeddedServer]:
    """The session's embedded server, stopped at the end."""
    embedded = EmbeddedServer(server_home)
    url = embedded.ensure_running()
    _admin(url, *(f"alter system set {name} = off" for name in NOT_DURABLE), "select pg_reload_conf()")
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def server_url(server: EmbeddedServer) -> str:
    """The URL of the session's server; tests that write take ``database_url`` instead."""
    return server.database_url


@pytest.fixture(scope="session")
def ledger_template(server_url: str) -> str:
    """Name of a database with a migrated, empty ledger."""
    _admin(server_url, f"create database {LEDGER_TEMPLATE}")
    ledger.upgrade(database_named(server_url, LEDGER_TEMPLATE))
    return LEDGER_TEMPLATE


@pytest.fixture(scope="session")
def lake_template(server_url: str, ledger_template: str, server_home: Path) -> str:
    """Name of a database with a migrated ledger and the catalog of an empty lake."""
    extensions.install(server_home)
    _admin(server_url, f"create database {LAKE_TEMPLATE} template {ledger_template} strategy file_copy")
    url = database_named(server_url, LAKE_TEMPLATE)
    Lake(database_url=url, data_path=str(server_home / "lake-template"), home=server_home).set_up()
    return LAKE_TEMPLATE


@pytest.fixture(scope="session")
def new_database(server_url: str) -> Callable[[str], str]:
    """A function that clones the named template and returns the URL of the clone."""

    def create(template: str) -> str:
        name = f"t_{uuid.uuid4().hex[:12]}"
        _admin(server_url, f"create database {name} template {template} strategy file_copy")
        return database_named(server_url, name)

    return create


@pytest.fixture
def database_url(request: pytest.FixtureRequest, server_url: str, new_database: Callable[[str], str]) -> Generator[str]:
    """A fresh database: migrated ledger, and the lake's catalog when the test also asks for ``lake``."""
    template = "lake_template" if "lake" in request.fixturenames else "ledger_template"
    url = new_database(request.getfixturevalue(template))
    yield url
    name = url.partition("?")[0].rpartition("/")[2]
    _admin(server_url, f"drop database if exists {name} with (force)")


@pytest.fixture
def ledger_engine(database_url: str, server_home: Path) -> Generator[Engine]:
    """An engine on a fresh, migrated ledger that may be sent from, as after `leadpipe up`."""
    engine = ledger.connect(database_url)
    assert take_first(
        engine, Settings.model_construct(home=server_home, database_url=database_url), now=WallClock().now()
    )
    yield engine
    engine.dispose()


@pytest.fixture
def lake_folder(database_url: str, server_home: Path) -> Generator[Path]:
    """The folder of this test's lake, removed afterwards."""
    folder = server_home / "lakes" / database_url.partition("?")[0].rpartition("/")[2]
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lake(database_url: str, lake_folder: Path, server_home: Path) -> Generator[Lake]:
    """A fresh lake whose schemas exist and whose tables do not (``bootstrap.create_tables`` makes those).

    It stays open for the test, as it does for a run of Dagster.
    """
    with psycopg.connect(database_url) as connection:
        moved = connection.execute(
            f"update {CATALOG_SCHEMA}.ducklake_metadata set value = %s where key = 'data_path'".encode(),
            [f"{lake_folder}/"],
        )
        assert moved.rowcount == 1
    lake = Lake(database_url=database_url, data_path=str(lake_folder), home=server_home)
    with lake.keep_open():
        yield lake


@pytest.fixture
def settings(database_url: str, lake_folder: Path, server_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a team in Texas that may send nothing; ``model_copy(update=...)`` changes one.

    They name the database and the lake of this test; the environment of whoever runs the tests has no say.
    """
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    return Settings(
        home=server_home,
        database_url=database_url,
        lake_path=str(lake_folder),
        brokerage_name="Demo Realty",
        postal_address="1 Example Street, Austin, TX 78701",
        email_from="Demo Realty <hello@demo-realty.example>",
        reply_domain="in.demo-realty.example",
        # Texas wants its form linked; no licence is named, so homes there may be written about.
        licence_links=(StateValue("TX", "https://demo-realty.example/iabs"),),
        unsubscribe_secret=SecretStr("test-unsubscribe-secret"),
    )


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands still: a Tuesday, 10:00 in Chicago."""
    return FixedClock(datetime(2026, 3, 3, 16, 0, tzinfo=UTC))
