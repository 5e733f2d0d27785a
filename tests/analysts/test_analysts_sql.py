"""``leadpipe sql``: one query, a shell over a pipe or a terminal, beside writers, and from cold."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pyarrow as pa
import pytest
import yaml

from leadpipe.cli.sql_output import plain
from leadpipe.cli.sql_session import DBT_SCHEMAS, Session
from leadpipe.cli.sql_shell import Shell
from leadpipe.store import bootstrap, extensions
from leadpipe.store.lake import Lake
from leadpipe.store.server import EmbeddedServer

LEADPIPE = str(Path(sys.executable).with_name("leadpipe"))
HEAVY = "sqlalchemy alembic pandas numpy pyarrow sklearn dagster dbt twilio boto3 openai fastapi"
WAIT_SECONDS = 60

Environment = dict[str, str]


@pytest.fixture
def here(lake: Lake, tmp_path: Path) -> Environment:
    """The environment of an analyst of a fresh lake with three rows."""
    bootstrap.create_tables(lake)
    lake.append(
        "marts.leads",
        pa.table(
            {
                "person_id": [1, 2, 3],
                "stage": ["Lead", "Lead", None],
                "seen_at": pa.array([datetime(2026, 3, 2, 15, tzinfo=UTC)] * 3, pa.timestamp("us", tz="UTC")),
            }
        ),
    )
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LEADPIPE_HOME": str(lake.home),
        "LEADPIPE_DATABASE_URL": lake.database_url,
        "LEADPIPE_LAKE_PATH": lake.data_path,
        "COLUMNS": "120",
    }


def ask(environment: Environment, *arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``leadpipe sql`` to its end."""
    return subprocess.run(
        [LEADPIPE, "sql", *arguments], env=environment, input=said, capture_output=True, text=True, check=False,
        cwd=environment["HOME"], timeout=WAIT_SECONDS * 2,
    )  # fmt: skip


def test_a_query_is_answered_as_a_table_as_json_and_as_csv(here: Environment) -> None:
    query = "select stage, count(*) as leads, max(seen_at) as seen_at from marts.leads group by stage order by stage"
    table = ask(here, query)
    assert table.returncode == 0, table.stderr
    assert "│ Lead    │     2 │ 2026-03-02 15:00:00+00   │" in table.stdout
    as_json = ask(here, query, "--format", "json")
    assert json.loads(as_json.stdout) == [
        {"stage": "Lead", "leads": 2, "seen_at": "2026-03-02T15:00:00+00:00"},
        {"stage": None, "leads": 1, "seen_at": "2026-03-02T15:00:00+00:00"},
    ]
    as_csv = list(csv.reader(io.StringIO(ask(here, query, "-f", "csv").stdout)))
    assert as_csv == [
        ["stage", "leads", "seen_at"],
        ["Lead", "2", "2026-03-02T15:00:00+00:00"],
        ["", "1", "2026-03-02T15:00:00+00:00"],
    ]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("selec 1", 'syntax error at or near "selec"'),
        ("select * from marts.lead", 'Did you mean "leads"'),
        ("select * from marts.nothing", "marts appears with the first dbt run"),
        ("select * from staging.stg_ledger__messages", "staging appears with the first dbt run"),
        ("from outreach.decisions", "outreach appears with the first dbt run"),
        (
            "from conversation.queue join intermediate.int_leads using (person_id)",
            "conversation and intermediate appear",
        ),
        ("delete from marts.leads", "`leadpipe sql` reads only; for a table of your own: create temp table"),
        ("create table mine as select 1", "reads only"),
        ("select * from marts.leads at (version => 99999)", "AT (TIMESTAMP => ...) reaches back to "),
    ],
)
def test_a_refused_statement_says_why_and_what_to_do(here: Environment, query: str, says: str) -> None:
    done = ask(here, query)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_before_dbts_first_run_no_table_of_another_schema_is_offered(here: Environment) -> None:
    said = ask(here, "select person_id, awaits from conversation.queue").stderr
    assert "conversation appears with the first dbt run" in said
    assert "Did you mean" not in said
    assert "outreach.queue" not in said
    assert "Did you mean" in ask(here, "from marts.lead").stderr, "a typing error beside what is there keeps its hint"


def test_the_schemas_that_wait_for_dbt_are_those_of_its_project() -> None:
    project = yaml.safe_load((Path(__file__).parents[2] / "dbt" / "dbt_project.yml").read_text())
    assert set(DBT_SCHEMAS) == {folder["+schema"] for folder in project["models"]["leadpipe"].values()}


def test_a_temporary_table_of_ones_own_is_allowed(here: Environment) -> None:
    done = ask(here, "create temp table mine as from marts.leads; select count(*) as n from mine", "-f", "json")
    assert json.loads(done.stdout) == [{"n": 3}]


def test_a_reader_that_has_seen_enough_is_no_error(here: Environment) -> None:
    with subprocess.Popen(
        [LEADPIPE, "sql", "from range(200000)", "-f", "csv"],
        env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "range\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(WAIT_SECONDS) == 0


def test_statements_from_a_pipe_are_answered_one_by_one_and_an_error_ends_nothing(here: Environment) -> None:
    with subprocess.Popen(
        [LEADPIPE, "sql", "--format", "json"],
        env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        for number in range(3):
            process.stdin.write(f"select\n  {number} as n\n;\n")
            answer = [process.stdout.readline() for _ in range(3)]  # the answer is there before the next is asked
            assert json.loads("".join(answer)) == [{"n": number}]
        process.stdin.write("select nothing;\nselect 4 as n")
        process.stdin.close()
        assert json.loads(process.stdout.read()) == [{"n": 4}], "the end of input ends a statement too"
        assert 'Referenced column "nothing" was not found' in process.stderr.read()
        assert process.wait(WAIT_SECONDS) == 2


def test_the_shell_lists_tables_describes_them_and_says_how_far_time_travel_goes(here: Environment) -> None:
    typed = (
        ".tables", ".schema marts.leads", ".schema raw.spend", ".schema marts.nosuch", ".reach", ".mode csv",
        "select 1 as a;", ".nonsense", ".quit", "select 2;",
    )  # fmt: skip
    done = ask(here, said="\n".join(typed))
    assert "raw.fub__people" in done.stdout
    assert "The lead source, as the CRM spells it" in done.stdout, "what dbt says of a column"
    assert "seen_at     │ TIMESTAMP WITH TIME ZONE" in done.stdout
    assert done.stdout.endswith("a\n1\n"), "nothing is read after .quit"
    assert "AT (TIMESTAMP => ...) reaches back to 2" in done.stderr
    assert "no such command: .nonsense" in done.stderr
    assert "no table marts.nosuch; .tables lists what there is" in done.stderr
    assert done.returncode == 2


class Terminal:
    """A person at a terminal, typing into the shell."""

    def __init__(self, environment: Environment) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [LEADPIPE, "sql"], env=environment | {"TERM": "dumb"}, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self.master, text.encode())

    def see(self, text: str) -> str:
        """Wait until this is shown; returns all that was shown until then, and forgets it."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"never saw {text!r}, but: {self.shown}"
            self.shown += os.read(self.master, 65_536).decode()
        before, _, self.shown = self.shown.partition(text)
        return before

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(WAIT_SECONDS)
        os.close(self.master)


def test_a_person_gets_a_prompt_a_history_and_can_stop_a_query(here: Environment, lake: Lake) -> None:
    history = lake.home / "sql_history"
    history.unlink(missing_ok=True)
    with Terminal(here) as terminal:
        assert "read-only" in terminal.see("Type .help for help.")
        terminal.see("leadpipe> ")
        terminal.type("select 6 * 7\n")
        terminal.see("...> ")
        terminal.type("as answer;\n")
        terminal.see("42")
        terminal.see("leadpipe> ")
        terminal.type("select sum(a.range * b.range) from range(10000000) a, range(10000000) b;\n")
        terminal.see("b;")
        time.sleep(1)
        terminal.process.send_signal(signal.SIGINT)
        terminal.see("stopped")
        terminal.see("leadpipe> ")
        terminal.type("select 'still here' as s;\n")
        terminal.see("varchar")
        terminal.type(".quit\n")
        assert terminal.process.wait(WAIT_SECONDS) == 0
    assert "as answer;" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_sessions_read_while_others_write(here: Environment, lake: Lake) -> None:
    shells = [
        subprocess.Popen(
            [LEADPIPE, "sql", "-f", "csv"], env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, bufsize=1,
        )
        for _ in range(3)
    ]  # fmt: skip
    counts: list[list[int]] = [[], [], []]
    for number in range(5):
        lake.append("marts.leads", pa.table({"person_id": [number + 10]}))
        for shell, seen in zip(shells, counts, strict=True):
            assert shell.stdin and shell.stdout
            shell.stdin.write("select count(*) from marts.leads;\n")
            assert shell.stdout.readline() == "count_star()\n"
            seen.append(int(shell.stdout.readline()))
    for shell, seen in zip(shells, counts, strict=True):
        assert shell.communicate() == ("", "")
        assert shell.returncode == 0
        assert seen == [4, 5, 6, 7, 8], "a session held open sees each commit"


def test_a_session_attaches_again_when_the_server_dropped_it(here: Environment, database_url: str) -> None:
    with subprocess.Popen(
        [LEADPIPE, "sql", "-f", "csv"], env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, bufsize=1,
    ) as shell:  # fmt: skip
        assert shell.stdin and shell.stdout and shell.stderr
        shell.stdin.write("select count(*) from marts.leads;\n")
        assert [shell.stdout.readline() for _ in range(2)] == ["count_star()\n", "3\n"]
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                b"select pg_terminate_backend(pid) from pg_stat_activity "
                b"where datname = current_database() and pid <> pg_backend_pid()"
            )
        shell.stdin.write("select count(*) from marts.leads;\n")
        shell.stdin.close()
        assert shell.stdout.read() == "count_star()\n3\n", shell.stderr.read()
        assert shell.wait(WAIT_SECONDS) == 0


def test_what_another_duckdb_must_run_holds_no_password(here: Environment) -> None:
    url = here["LEADPIPE_DATABASE_URL"].replace("leadpipe@", "leadpipe:s3cret@")
    done = ask(here | {"LEADPIPE_DATABASE_URL": url}, "--attach")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("read_only);\nuse lake;\n")
    assert "s3cret" not in done.stdout


@pytest.fixture
def new_home(server_home: Path) -> Generator[Callable[[str], Path]]:
    """A function that makes a home with a server of its own and a lake, the server stopped."""
    made: list[Path] = []

    def create(name: str) -> Path:
        home = server_home / "homes" / name
        home.mkdir(parents=True)
        made.append(home)
        extensions.install(home)
        server = EmbeddedServer(home)
        lake = Lake(database_url=server.ensure_running(), data_path=str(home / "lake"), home=home)
        with psycopg.connect(lake.database_url, autocommit=True) as connection:
            connection.execute(b"create schema lake_catalog")
        lake.set_up()
        lake.append("marts.leads", pa.table({"person_id": [1, 2]}))
        server.stop()
        return home

    yield create
    for home in made:
        EmbeddedServer(home).stop()
        shutil.rmtree(home, ignore_errors=True)


def test_it_starts_the_embedded_server_and_without_a_system_reads_the_demos(
    new_home: Callable[[str], Path], server_home: Path, tmp_path: Path
) -> None:
    demo = new_home("demo")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LEADPIPE_HOME": str(demo.parent)}
    assert not EmbeddedServer(demo).status().is_running
    done = ask(environment, "select count(*) as n from marts.leads", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"n": 2}]
    assert EmbeddedServer(demo).status().is_running
    assert not EmbeddedServer(demo.parent).is_created, "asking makes nothing"

    down = [sys.executable, "-m", "leadpipe.cli.main", "down"]
    stopped = subprocess.run(down, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stdout) == (0, f"Stopped the database in {demo}.\n"), stopped.stderr
    assert not EmbeddedServer(demo).status().is_running
    again = subprocess.run(down, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.stdout == f"Nothing of {demo} was running.\n"


def test_where_nothing_was_set_up_it_says_what_to_do(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LEADPIPE_HOME": str(tmp_path / "none")}
    done = ask(environment, "select 1")
    assert done.returncode == 2
    assert f"nothing is set up in {tmp_path}/none; run `leadpipe up` or `make demo` first" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_database_without_a_lake_says_what_to_do(here: Environment, ledger_template: str, server_url: str) -> None:
    before, _, after = server_url.partition("?")
    url = f"{before.rpartition('/')[0]}/postgres?{after}"
    done = ask(here | {"LEADPIPE_DATABASE_URL": url}, "select 1")
    assert done.returncode == 2
    assert "no lake in this database yet" in done.stderr


def test_a_server_that_does_not_answer_is_a_finding(here: Environment) -> None:
    done = ask(here | {"LEADPIPE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/leadpipe"}, "select 1")
    assert done.returncode == 1
    assert "PostgreSQL does not answer" in done.stderr


def test_the_true_cause_is_named_where_the_home_was_never_set_up_too(here: Environment, tmp_path: Path) -> None:
    new = here | {"LEADPIPE_HOME": str(tmp_path / "new")}
    away = ask(new | {"LEADPIPE_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/leadpipe"}, "select 1")
    assert away.returncode == 1
    assert "PostgreSQL does not answer" in away.stderr
    assert "s3cret" not in away.stderr
    bare = ask(new, "select 1")
    assert bare.returncode == 2
    assert f"extensions are not installed in {tmp_path}/new" in bare.stderr


def test_it_imports_nothing_heavy(here: Environment) -> None:
    """A second and a half from cold leave no room for the libraries of the other rooms."""
    code = (
        "import sys; sys.argv = ['leadpipe', 'sql', 'select 1', '-f', 'csv']; from leadpipe.cli.main import app\n"
        "try: app()\n"
        f"except SystemExit as end: print(end.code, *sorted(set('{HEAVY}'.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=here, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n1\n0\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 3, 2, tzinfo=UTC).date(), "2026-03-02"),
        (datetime(2026, 3, 2, tzinfo=UTC) - datetime(2026, 3, 1, tzinfo=UTC), 86_400.0),
        (float("inf"), None),
        ({"a": [float("nan"), b"\x01"]}, {"a": [None, "01"]}),
        ((1, True, None, "é"), [1, True, None, "é"]),
    ],
)
def test_a_value_becomes_what_json_knows(value: object, expected: object) -> None:
    assert plain(value) == expected


class SlowToStop:
    """A session whose statement takes a moment to end after it was told to."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.has_ended = False

    def statements(self, text: str) -> list[str]:
        """The text, whole."""
        return [text]

    def interrupt(self) -> None:
        """Tell it."""
        self.told.set()

    def execute(self, statement: str) -> None:
        """Work until told, and a moment longer."""
        self.told.wait(WAIT_SECONDS)
        time.sleep(0.5)
        self.has_ended = True


def test_a_stopped_statement_has_ended_before_the_next_one_may_use_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    session = SlowToStop()
    shell = Shell(cast("Session", session), "table")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        assert shell.answer_stoppably("select 1;") == "stopped"
    finally:
        signal.signal(signal.SIGINT, before)
    assert session.has_ended
