"""The embedded server survives what happens to servers: killed starters, killed postmasters, reused pids, odd paths."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.store.server import NO_SUCH_PID, EmbeddedServer
from leadpipe.store.server_folder import SOCKET_PATH_LIMIT, ServerFolder, socket_folder

REPOSITORY = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can be two users")


@pytest.fixture(scope="module")
def initialised() -> Generator[Path]:
    """A home whose server ran once: copying it is ten times cheaper than another initdb."""
    base = Path(tempfile.mkdtemp(prefix="leadpipe-server-", dir="/tmp"))
    base.chmod(0o755)
    home = base / "initialised"
    home.mkdir()
    EmbeddedServer(home).ensure_running()
    EmbeddedServer(home).stop()
    yield home
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def old_home(new_home: Callable[[str], Path], initialised: Path) -> Callable[[str], Path]:
    """Makes homes as ``new_home`` does, in which a server has run before."""

    def create(name: str) -> Path:
        home = new_home(name)
        subprocess.run(["cp", "-a", str(initialised / "pg"), str(home / "pg")], check=True)
        return home

    return create


@pytest.fixture
def new_home() -> Generator[Callable[[str], Path]]:
    """Makes homes that the server's account may enter, and stops and removes what a test leaves in them."""
    base = Path(tempfile.mkdtemp(prefix="leadpipe-server-", dir="/tmp"))
    base.chmod(0o755)
    homes: list[Path] = []

    def create(name: str) -> Path:
        home = base / name
        home.mkdir(parents=True)
        homes.append(home)
        return home

    yield create
    for home in homes:
        EmbeddedServer(home).stop()
    shutil.rmtree(base, ignore_errors=True)


def value_of(url: str, sql: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def in_another_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    script = "import sys; from pathlib import Path; from leadpipe.store.server import EmbeddedServer\n"
    return subprocess.Popen(
        [sys.executable, "-c", script + textwrap.dedent(code), *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_started_server_has_the_promised_settings(server_url: str) -> None:
    wanted = {"max_connections": "300", "server_encoding": "UTF8", "timezone": "UTC", "listen_addresses": ""}
    assert {name: value_of(server_url, f"show {name}") for name in wanted} == wanted
    assert str(value_of(server_url, "show server_version")).startswith("18.")
    assert value_of(server_url, "select lower('ÉÜ')") == "éü"


def test_only_peer_lets_anybody_in(server_url: str, server_home: Path) -> None:
    methods = {row.split()[3] for row in (server_home / "pg/data/pg_hba.conf").read_text().splitlines()}
    assert methods == {"peer"}
    folder = ServerFolder(server_home).socket
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_home_with_spaces_quotes_and_dollars_works(new_home: Callable[[str], Path]) -> None:
    home = new_home('it\'s a $HOME `of` "mine"')
    server = EmbeddedServer(home)
    url = server.ensure_running()
    assert value_of(url, "select current_database()") == "leadpipe"
    assert server.stop() is True
    assert server.status().is_running is False


def test_a_home_longer_than_a_socket_path_works(new_home: Callable[[str], Path]) -> None:
    home = new_home("/".join(["a-rather-long-folder-name"] * 6))
    assert len(str(home)) > SOCKET_PATH_LIMIT
    url = EmbeddedServer(home).ensure_running()
    assert value_of(url, "select 1") == 1


def test_no_socket_path_exceeds_the_limit() -> None:
    folder = socket_folder(Path("/" + "x" * 4000), 2**32 - 2)
    assert len(str(folder / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_LIMIT


def test_many_processes_at_once_start_one_server(new_home: Callable[[str], Path]) -> None:
    home = new_home("home")
    code = "print(EmbeddedServer(Path(sys.argv[1])).ensure_running())"
    started = [in_another_process(code, str(home)) for _ in range(4)]
    urls = {process.communicate(timeout=60)[0] for process in started}
    assert urls == {EmbeddedServer(home).database_url + "\n"}
    assert [process.returncode for process in started] == [0] * 4


def test_a_starter_killed_at_any_moment_leaves_a_startable_home(new_home: Callable[[str], Path]) -> None:
    home = new_home("home")
    for wait_seconds in (0.5, 0.7, 0.9, 1.2):  # imports, initdb, pg_ctl, create database
        process = in_another_process("EmbeddedServer(Path(sys.argv[1])).ensure_running()", str(home))
        time.sleep(wait_seconds)
        process.kill()
        process.communicate()
    url = EmbeddedServer(home).ensure_running()
    assert value_of(url, "select current_database()") == "leadpipe"
    assert list((home / "pg").glob("data.*.part")) == []


def test_a_server_outlives_the_process_that_started_it(old_home: Callable[[str], Path]) -> None:
    home = old_home("home")
    process = in_another_process("EmbeddedServer(Path(sys.argv[1])).ensure_running()", str(home))
    assert process.wait(timeout=60) == 0
    process.communicate()
    assert EmbeddedServer(home).status().is_running


def test_a_killed_postmaster_is_replaced_and_keeps_what_was_committed(old_home: Callable[[str], Path]) -> None:
    server = EmbeddedServer(old_home("home"))
    url = server.ensure_running()
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 7 as a")
    busy = psycopg.connect(url, autocommit=True)  # a session that is there when the postmaster dies
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert server.ensure_running() == url
    assert value_of(url, "select a from kept") == 7
    assert server.status().pid != pid
    busy.close()


@pytest.mark.parametrize("reused_by", ["a stranger", "ourselves"])
def test_a_pid_reused_by_another_process_is_no_server(old_home: Callable[[str], Path], reused_by: str) -> None:
    home = old_home("home")
    server = EmbeddedServer(home)
    server.ensure_running()
    pid_file = home / "pg/data/postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    owner = pwd.getpwuid((home / "pg").stat().st_uid).pw_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if IS_ROOT else None)
    try:
        lines[0] = str(stranger.pid if reused_by == "a stranger" else os.getpid())
        pid_file.write_text("\n".join(lines) + "\n")
        os.chown(pid_file, owner, -1)
        pid_file.chmod(0o600)
        assert server.status().is_running is False
        assert server.stop() is False
        assert value_of(server.ensure_running(), "select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_socket_lock_whose_pid_was_reused_does_not_stop_the_start(old_home: Callable[[str], Path]) -> None:
    """A killed postmaster leaves two lock files with its pid, and PostgreSQL believes either."""
    home = old_home("home")
    server = EmbeddedServer(home)
    server.ensure_running()
    lock = ServerFolder(home).socket_lock
    lines = lock.read_text().splitlines()
    owner = lock.stat().st_uid
    server.stop()
    lock.parent.mkdir(mode=0o700, exist_ok=True)
    stranger = subprocess.Popen(["sleep", "60"], user=owner if IS_ROOT else None)
    try:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        os.chown(lock, owner, -1)
        lock.chmod(0o600)
        os.chown(lock.parent, owner, -1)
        assert value_of(server.ensure_running(), "select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_pid_file_cut_off_by_a_crash_does_not_stop_the_start(old_home: Callable[[str], Path]) -> None:
    home = old_home("home")
    server = EmbeddedServer(home)
    server.ensure_running()
    server.stop()
    (home / "pg/data/postmaster.pid").write_text("")
    assert value_of(server.ensure_running(), "select 1") == 1


def test_no_process_can_have_the_pid_that_stands_for_none() -> None:
    assert not psutil.pid_exists(NO_SUCH_PID)
    with pytest.raises(ProcessLookupError):
        os.kill(NO_SUCH_PID, 0)


def test_a_full_house_is_still_a_running_server(old_home: Callable[[str], Path]) -> None:
    server = EmbeddedServer(old_home("home"))
    url = server.ensure_running()
    with psycopg.connect(url.replace("/leadpipe?", "/postgres?"), autocommit=True) as connection:
        connection.execute("alter database leadpipe allow_connections false")
    pid = server.status().pid
    assert server.status().is_running
    assert server.ensure_running() == url  # it answers: nothing is started, nothing stopped
    assert server.status().pid == pid


def test_a_server_that_cannot_start_says_why_and_names_its_log(old_home: Callable[[str], Path]) -> None:
    home = old_home("home")
    server = EmbeddedServer(home)
    server.ensure_running()
    server.stop()
    (home / "pg/data/PG_VERSION").write_text("9.6\n")
    with pytest.raises(TransientError, match=r"(?s)incompatible.*server\.log"):
        server.ensure_running()


def test_a_home_moved_elsewhere_starts_there(new_home: Callable[[str], Path], old_home: Callable[[str], Path]) -> None:
    first = EmbeddedServer(old_home("first"))
    with psycopg.connect(first.ensure_running()) as connection:
        connection.execute("create table kept as select 7 as a")
    first.stop()
    target = new_home("second")
    (target.parent / "first/pg").rename(target / "pg")
    assert value_of(EmbeddedServer(target).ensure_running(), "select a from kept") == 7


def test_two_paths_to_one_home_are_one_server(old_home: Callable[[str], Path]) -> None:
    home = old_home("home")
    link = home.parent / "link"
    link.symlink_to(home)
    assert EmbeddedServer(link).ensure_running() == EmbeddedServer(home).database_url


def as_nobody(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run code as another user. The interpreter may lie where that user may not go, so it is loaded before."""
    script = """
        import os, pwd, sys
        from contextlib import suppress
        from pathlib import Path
        import psutil, psycopg
        from leadpipe.store.server import EmbeddedServer
        with suppress(psycopg.OperationalError):
            psycopg.connect("host=/nowhere")
        psutil.Process().cwd()
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script) + code, str(home)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_root
def test_two_users_have_a_server_each_and_root_joins_either(new_home: Callable[[str], Path]) -> None:
    ours, theirs = new_home("ours"), new_home("theirs")
    nobody = pwd.getpwnam("nobody")
    os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    our_url = EmbeddedServer(ours).ensure_running()
    theirs_said = as_nobody("print(EmbeddedServer(Path(sys.argv[1])).ensure_running())", theirs)
    assert theirs_said.returncode == 0, theirs_said.stderr
    their_url = theirs_said.stdout.strip()
    assert their_url != our_url
    pid = EmbeddedServer(theirs).status().pid
    assert EmbeddedServer(theirs).ensure_running() == their_url  # root, in a home that is not root's
    assert EmbeddedServer(theirs).status().pid == pid


@needs_root
def test_another_users_home_is_refused_with_a_way_out(old_home: Callable[[str], Path]) -> None:
    home = old_home("home")
    EmbeddedServer(home).ensure_running()
    refused = as_nobody("EmbeddedServer(Path(sys.argv[1])).ensure_running()", home)
    assert "ConfigurationError" in refused.stderr
    assert "belongs to" in refused.stderr
    assert "LEADPIPE_HOME" in refused.stderr


@needs_root
def test_a_home_the_servers_account_cannot_enter_says_which_folder_and_what_to_do(
    new_home: Callable[[str], Path],
) -> None:
    home = new_home("closed/home")
    home.parent.chmod(0o700)
    with pytest.raises(ConfigurationError, match=rf"chmod o\+x {home.parent}`"):
        EmbeddedServer(home).ensure_running()


@pytest.mark.parametrize("kind", ["link", pytest.param("folder", marks=needs_root)])
def test_a_socket_folder_made_by_somebody_else_is_not_trusted(new_home: Callable[[str], Path], kind: str) -> None:
    home = new_home("home")
    folder = ServerFolder(home).socket
    target = home.parent / "target"
    target.mkdir(mode=0o755)
    if kind == "link":
        folder.symlink_to(target)
    else:
        folder.mkdir()
        os.chown(folder, 12345, 12345)
    try:
        with pytest.raises(ConfigurationError, match="remove it"):
            EmbeddedServer(home).ensure_running()
        assert target.stat().st_mode & 0o777 == 0o755
    finally:
        folder.unlink() if kind == "link" else folder.rmdir()


def test_a_server_is_never_stopped_by_those_who_only_use_it(old_home: Callable[[str], Path]) -> None:
    home = old_home("home")
    EmbeddedServer(home).ensure_running()
    pid = EmbeddedServer(home).status().pid
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: EmbeddedServer(home).ensure_running(), range(8)))
    assert EmbeddedServer(home).status().pid == pid
    assert EmbeddedServer(home).stop() is True
    assert EmbeddedServer(home).stop() is False
