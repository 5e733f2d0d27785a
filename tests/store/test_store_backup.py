"""Backup and restore: one sealed file, whole or refused, and a restored system that sends nothing."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from sqlalchemy import Engine, text

from leadpipe.clock import FixedClock, WallClock
from leadpipe.errors import ConfigurationError, PermanentError
from leadpipe.messaging import right
from leadpipe.settings import Settings
from leadpipe.store import dump, extensions, lake_files, ledger, locks, maintenance, mirror, restore, sealed
from leadpipe.store.archive import Reader, Writer
from leadpipe.store.backup import BackedUp, back_up
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake
from leadpipe.store.server import EmbeddedServer

SECRET, PUBLIC = sealed.new_key()
Back = Callable[..., BackedUp]


@pytest.fixture
def back(lake: Lake, tmp_path: Path) -> Back:
    """A function that backs the test's system up."""

    def run(target: Path | None = None, *, key: str = PUBLIC, home: Path = tmp_path / "home") -> BackedUp:
        return back_up(lake=lake, home=home, target=target or tmp_path, key=key, now=WallClock().now)

    return run


@pytest.fixture
def elsewhere(
    settings: Settings, server_url: str, new_database: Callable[[str], str], tmp_path: Path
) -> Generator[Settings]:
    """Settings of an empty database on the same server, with an empty lake."""
    url = new_database("template0")
    yield settings.model_copy(update={"home": tmp_path / "new", "database_url": url, "lake_path": f"{tmp_path}/lake"})
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(server_url.replace("/leadpipe?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def bring_back(settings: Settings, source: Path, key: str = SECRET) -> restore.Restored:
    return restore.restore(settings=settings, source=source, key=key, now=datetime.now(UTC))


def standing(settings: Settings) -> right.Standing:
    assert settings.database_url is not None
    engine = ledger.connect(settings.database_url)
    try:
        with engine.connect() as connection:
            return right.standing(connection, settings)
    finally:
        engine.dispose()


def add_note(connection: Any, number: int) -> None:
    connection.execute(
        text("insert into ledger.alerts (kind, dedupe_key, title, body, created_at) values ('a', :n, 't', 'b', now())"),
        {"n": str(number)},
    )


class TestTheArchive:
    def written(self, **changes: Any) -> bytes:
        stream = io.BytesIO()
        writer = Writer(stream, {"format": 1})
        writer.add_bytes("a", b"one")
        writer.add("folder/b", io.BytesIO(b"two" * 100_000), 300_000)
        if changes:
            writer.members[1] = replace(writer.members[1], **changes)
        writer.finish()
        return stream.getvalue()

    def read(self, content: bytes) -> dict[str, bytes]:
        reader = Reader(stream=io.BytesIO(content))
        header, members = reader.header()
        assert header == {"format": 1}
        found = {name: source.read() for name, source in members}
        reader.must_be_complete()
        return found

    def test_gives_back_what_was_put_in(self) -> None:
        assert self.read(self.written()) == {"a": b"one", "folder/b": b"two" * 100_000}

    def test_a_member_that_nobody_reads_is_proven_all_the_same(self) -> None:
        reader = Reader(stream=io.BytesIO(self.written(sha256="0" * 64)))
        _, members = reader.header()
        with pytest.raises(PermanentError, match="1 members are not as written, e.g. a"):
            list(members)

    def test_without_its_manifest_it_is_cut_off(self) -> None:
        content = self.written()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            last = tar.getmembers()[-1]
        with pytest.raises(PermanentError, match="cut off"):
            self.read(content[: last.offset] + b"\0" * 1024)

    def test_a_source_shorter_than_it_should_be_is_refused(self) -> None:
        with pytest.raises(PermanentError, match="shorter than the 4 bytes"):
            Writer(io.BytesIO(), {}).add("a", io.BytesIO(b"one"), 4)

    @pytest.mark.parametrize("name", ["/etc/passwd", "lake/../../etc/passwd"])
    def test_a_member_stays_below_its_folder(self, name: str) -> None:
        stream = io.BytesIO()
        writer = Writer(stream, {"format": 1})
        writer.add_bytes(name, b"x")
        writer.finish()
        with pytest.raises(PermanentError, match="no file of ours"):
            self.read(stream.getvalue())


class TestTheSeal:
    def seal(self, path: Path, content: bytes = b"words" * 100_000, key: str = PUBLIC) -> Path:
        with sealed.sealing(path, key) as stream:
            stream.write(content)
        return path

    def test_what_was_sealed_by_the_public_key_opens_with_the_secret_one(self, tmp_path: Path) -> None:
        path = self.seal(tmp_path / "a")
        assert b"words" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        with sealed.opening(path, SECRET) as stream:
            assert stream.read() == b"words" * 100_000

    @pytest.mark.parametrize(
        ("key", "problem"),
        [(sealed.new_key()[0], "another key"), (PUBLIC, "public key"), ("secret", "no key of age's")],
        ids=["another", "the public one", "none"],  # a key is new in each process that collects the tests
    )
    def test_another_key_opens_nothing(self, tmp_path: Path, key: str, problem: str) -> None:
        path = self.seal(tmp_path / "a")
        with pytest.raises(ConfigurationError, match=problem), sealed.opening(path, key) as stream:
            stream.read()

    @pytest.mark.parametrize("spoil", [lambda b: b[:300_000], lambda b: b[:300_000] + b"x" + b[300_001:]])
    def test_a_cut_or_changed_file_is_an_error_and_never_short_data(self, tmp_path: Path, spoil: Any) -> None:
        path = self.seal(tmp_path / "a")
        path.write_bytes(spoil(path.read_bytes()))
        with pytest.raises(PermanentError, match="damaged or cut off"), sealed.opening(path, SECRET) as stream:
            stream.read()

    def test_an_error_of_the_writer_is_told_as_it_is(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), sealed.sealing(tmp_path / "a", PUBLIC):
            raise ZeroDivisionError


def test_a_backup_restores_into_another_database_and_lake(
    back: Back, elsewhere: Settings, lake: Lake, ledger_engine: Engine, tmp_path: Path
) -> None:
    create_tables(lake)
    lake.append("raw.spend", pa.table({"month": [date(2026, 1, 1)], "source": ["Website"], "spend_usd": [5.0]}))
    with lake.write("raw.spend") as connection:
        connection.execute("update raw.spend set spend_usd = 7")
    with ledger_engine.begin() as connection:
        add_note(connection, 1)
    (tmp_path / "home/models/v1").mkdir(parents=True)
    (tmp_path / "home/models/v1/model.skops").write_bytes(b"a model")

    made = back()
    assert made.count_lake_files == 2  # the row as it was, and as it is
    done = bring_back(elsewhere, made.path)
    assert (done.at, done.count_lake_files, done.lake_bytes) == (made.at, 2, made.lake_bytes)

    assert elsewhere.database_url is not None
    again = Lake(database_url=elsewhere.database_url, data_path=elsewhere.lake_url, home=lake.home)
    assert again.query("select spend_usd from raw.spend").to_pylist() == [{"spend_usd": 7.0}]
    assert again.query(f"select spend_usd from raw.spend at (version => {lake.snapshot_id() - 1})").num_rows == 1
    with psycopg.connect(elsewhere.database_url) as connection:
        assert connection.execute("select count(*) from ledger.alerts").fetchone() == (1,)
    assert (elsewhere.home / "models/v1/model.skops").read_bytes() == b"a model"
    found = standing(elsewhere)
    assert (found.why, found.may_send) == (right.ELSEWHERE, False)
    assert "restored on" in found.words
    # The original still may.
    with ledger_engine.connect() as connection:
        assert right.standing(connection, elsewhere.model_copy(update={"database_url": lake.database_url})).may_send


def test_in_a_new_embedded_server_the_mirror_goes_on_and_nobody_may_send(
    back: Back, settings: Settings, lake: Lake, ledger_engine: Engine, clock: FixedClock
) -> None:
    create_tables(lake)
    with ledger_engine.begin() as connection:
        talk(connection, 1)
    mirror.mirror(ledger_engine, lake, now=clock.now())
    made = back()
    home = Path(tempfile.mkdtemp(prefix="leadpipe-restored-", dir="/tmp"))
    home.chmod(0o755)
    try:
        new = settings.model_copy(update={"home": home, "database_url": None, "lake_path": None})
        done = bring_back(new, made.path)
        again = Lake(database_url=done.database_url, data_path=new.lake_url, home=lake.home)
        engine = ledger.connect(done.database_url)
        with engine.connect() as connection:
            assert right.standing(connection, new).why == right.ELSEWHERE
        with engine.begin() as connection:
            talk(connection, 2)
            connection.execute(text("update ledger.conversations set state = 'closed' where person_id = 1"))
        mirrored = mirror.mirror(engine, again, now=clock.now())
        assert mirrored.count_by_table["conversations"] == 2
        assert mirror.differences(engine, again) == {}
        newest = again.query(
            "select person_id, arg_max(state, xid) as state from raw.ledger__conversations group by 1 order by 1"
        )
        assert newest.to_pylist() == [{"person_id": 1, "state": "closed"}, {"person_id": 2, "state": "open"}]
        engine.dispose()
        with pytest.raises(ConfigurationError, match="is not empty"):
            bring_back(new, made.path)
    finally:
        EmbeddedServer(home).stop()
        shutil.rmtree(home)


def talk(connection: Any, person_id: int) -> None:
    connection.execute(
        text(
            "insert into ledger.conversations (person_id, state, awaits, since_at, changed_at) "
            "values (:id, 'open', 'lead', now(), now())"
        ),
        {"id": person_id},
    )


def test_a_backup_under_traffic_is_one_moment_of_ledger_and_lake(
    back: Back, elsewhere: Settings, lake: Lake, ledger_engine: Engine
) -> None:
    """The writer appends to the lake, then says so in the ledger: a restored ledger knows of no row the lake lacks."""
    lake.create("raw.counted", pa.schema([("n", pa.int64())]))
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        writer = Lake(database_url=lake.database_url, data_path=lake.data_path, home=lake.home)
        with writer.keep_open():
            while not over.is_set():
                number = len(written)
                writer.append("raw.counted", pa.table({"n": [number]}))
                with ledger_engine.begin() as connection:
                    add_note(connection, number)
                written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(written) < 3:
            over.wait(0.01)
        before = len(written)
        made = back()
        after = len(written)
    finally:
        over.set()
        thread.join()
    bring_back(elsewhere, made.path)
    assert elsewhere.database_url is not None
    again = Lake(database_url=elsewhere.database_url, data_path=elsewhere.lake_url, home=lake.home)
    in_lake = again.query("select n from raw.counted order by n").column("n").to_pylist()
    with psycopg.connect(elsewhere.database_url) as connection:
        row = connection.execute("select count(*) from ledger.alerts").fetchone()
    assert row is not None
    assert in_lake == list(range(len(in_lake)))
    assert before <= row[0] <= len(in_lake) <= row[0] + 1
    assert after >= before


def test_while_a_backup_copies_no_file_is_deleted(
    lake: Lake, database_url: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append("raw.a", pa.table({"n": [1]}))
    lake.replace("raw.a", pa.table({"n": [2]}))
    monkeypatch.setattr(maintenance, "SNAPSHOTS_KEPT", timedelta(0))
    monkeypatch.setattr(maintenance, "FILES_KEPT", timedelta(0))
    late = FixedClock(datetime.now(UTC) + timedelta(hours=1))
    files = lambda: sum(1 for path in Path(lake.data_path).rglob("*.parquet"))  # noqa: E731
    before = files()
    with locks.cleanup_lock(database_url):
        kept = maintenance.maintain(lake, clock=late)  # pyright: ignore[reportArgumentType]
        assert (kept.snapshots_expired > 0, kept.files_deleted, files()) == (True, 0, before)
    assert maintenance.maintain(lake, clock=late).files_deleted > 0  # pyright: ignore[reportArgumentType]
    assert files() < before


def test_a_file_that_the_lake_lacks_makes_no_backup(back: Back, lake: Lake, tmp_path: Path) -> None:
    lake.append("raw.a", pa.table({"n": [1]}))
    (file,) = Path(lake.data_path).rglob("*.parquet")
    file.rename(file.with_suffix(".gone"))
    with pytest.raises(PermanentError, match="is missing"):
        back()
    assert not list(tmp_path.glob("*leadpipe*"))


def test_a_backup_needs_a_key_and_overwrites_nothing(back: Back, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--new-key"):
        back(key="")
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ConfigurationError, match="overwrites nothing"):
        back(tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


def test_a_damaged_backup_leaves_the_place_empty(back: Back, elsewhere: Settings, lake: Lake) -> None:
    lake.append("raw.a", pa.table({"n": list(range(100_000))}))
    path = back().path
    content = path.read_bytes()
    for spoilt in (content[:-100], content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:]):
        path.write_bytes(spoilt)
        with pytest.raises(PermanentError, match="damaged or cut off"):
            bring_back(elsewhere, path)
        assert elsewhere.database_url is not None
        with psycopg.connect(elsewhere.database_url) as connection:
            row = connection.execute("select count(*) from pg_namespace where nspname = 'ledger'").fetchone()
        assert row == (0,)
        assert lake_files.files_at(elsewhere.lake_url).is_empty()
    path.write_bytes(content)
    bring_back(elsewhere, path)


def test_a_place_in_use_is_not_restored_into(back: Back, elsewhere: Settings, settings: Settings) -> None:
    path = back().path
    with pytest.raises(ConfigurationError, match="in use already"):
        bring_back(elsewhere.model_copy(update={"database_url": settings.database_url}), path)
    lake_place = Path(elsewhere.lake_url)
    lake_place.mkdir()
    (lake_place / "a.parquet").touch()
    with pytest.raises(ConfigurationError, match="LEADPIPE_LAKE_PATH"):
        bring_back(elsewhere, path)


@pytest.mark.parametrize(
    ("header", "problem"),
    [({"format": 2}, "has format 2"), ({"format": 1, "revision": "9999"}, "revision 9999")],
)
def test_a_backup_of_a_newer_leadpipe_is_refused(
    elsewhere: Settings, tmp_path: Path, header: dict[str, Any], problem: str
) -> None:
    with sealed.sealing(tmp_path / "newer", PUBLIC) as stream:
        Writer(stream, header).finish()
    with pytest.raises(ConfigurationError, match=problem):
        bring_back(elsewhere, tmp_path / "newer")


def test_a_dump_for_an_older_server_leaves_out_what_it_does_not_know(elsewhere: Settings) -> None:
    assert elsewhere.database_url is not None
    part = b"SET transaction_timeout = 0;\ncreate table a (n int);\n"
    dump.load(elsewhere.database_url, [part], server_version=16)
    with pytest.raises(Exception, match="psql failed: .*already exists"):
        dump.load(
            elsewhere.database_url, [b"create table b (n int);\n", b"create table a (n int);\n"], server_version=18
        )
    with psycopg.connect(elsewhere.database_url) as connection:
        assert connection.execute("select to_regclass('b')").fetchone() == (None,)


def test_a_server_that_counted_less_is_moved_on_where_it_is_not_too_far(
    elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert elsewhere.database_url is not None
    with psycopg.connect(elsewhere.database_url, autocommit=True) as connection:

        def newest() -> int:
            row = connection.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
            assert row is not None
            return row[0]

        wanted = newest() + 2_000
        assert restore._pass_xid(connection, wanted, lambda _: None)  # pyright: ignore[reportPrivateUsage]
        assert newest() >= wanted
        monkeypatch.setattr(restore, "MOST_XIDS", 100)
        assert not restore._pass_xid(connection, newest() + 2_000, lambda _: None)  # pyright: ignore[reportPrivateUsage]


def test_on_a_server_that_counts_too_far_behind_everything_is_mirrored_anew(
    back: Back,
    elsewhere: Settings,
    lake: Lake,
    ledger_engine: Engine,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_tables(lake)
    with ledger_engine.begin() as connection:
        talk(connection, 1)
    mirror.mirror(ledger_engine, lake, now=clock.now())
    made = back()
    monkeypatch.setattr(restore, "_pass_xid", lambda *_: False)
    (elsewhere.home).mkdir()
    (elsewhere.home / "duckdb").symlink_to(extensions.folder(lake.home))
    bring_back(elsewhere, made.path)
    assert elsewhere.database_url is not None
    again = Lake(database_url=elsewhere.database_url, data_path=elsewhere.lake_url, home=lake.home)
    assert again.query("select person_id from raw.ledger__conversations").num_rows == 0
    engine = ledger.connect(elsewhere.database_url)
    assert mirror.mirror(engine, again, now=clock.now()).count_by_table["conversations"] == 1
    assert mirror.differences(engine, again) == {}
    engine.dispose()
