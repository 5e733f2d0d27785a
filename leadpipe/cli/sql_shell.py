"""The shell of ``leadpipe sql``.

What lives here: reading statements from a person or a pipe, and the dot commands. What does not: running a statement
(``sql_session``), printing its rows (``sql_output``).
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from leadpipe.cli.sql_output import print_rows
from leadpipe.errors import LeadpipeError

if TYPE_CHECKING:
    from leadpipe.cli.sql_session import Session

FORMATS = ("table", "json", "csv")
HISTORY_LINES = 2_000
HELP = """\
A statement ends with ; or an empty line. The lake is read-only; all times are UTC.
.tables           every table and view
.schema [TABLE]   columns, with their types and meaning
.reach            how far back AT (...) goes
.mode FORMAT      print as table, json or csv
.quit             leave (so does Ctrl-D)"""
TABLES = """
select schema_name || '.' || table_name as name, 'table' as kind, comment as holds
from duckdb_tables() where database_name = 'lake'
union all
select schema_name || '.' || view_name, 'view', comment
from duckdb_views() where database_name = 'lake' and not internal
order by name"""
# A view of DuckLake keeps no comments on its columns, so those come from dbt's manifest where there is one.
COLUMNS = """
select column_name, data_type, coalesce(comment, meanings[column_name]) as means
from duckdb_columns(), (select map({names}::text[], {meanings}::text[]) as meanings)
where database_name = 'lake' and (schema_name || '.' || table_name = {name} or table_name = {name})
order by schema_name, table_name, column_index"""


class Shell:
    """Reads statements until the end; an error is printed and the shell goes on.

    From a person: a prompt, and what was typed is kept in LEADPIPE_HOME/sql_history where readline is there. From a
    pipe: no prompt, and every result is flushed before the next statement is read.
    """

    def __init__(self, session: Session, output: str) -> None:
        self._session = session
        self._output = output
        self._is_tty = sys.stdin.isatty()
        self._has_failed = False

    def run(self) -> int:
        """Work until the input ends; from a pipe 2 when a statement failed, else 0."""
        if self._is_tty:
            # Whoever starts it in the background of a script hands down an ignored Ctrl-C; a person still wants theirs.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._say(f"The lake of {self._session.home}, read-only.\n{self._session.reach()}.\nType .help for help.")
        with self._history():
            for text in self._texts():
                if text.startswith("."):
                    if not self._command(text):
                        break
                else:
                    self._answer(text)
                sys.stdout.flush()
        return 2 if self._has_failed and not self._is_tty else 0

    # reading

    def _texts(self) -> Generator[str]:
        """Whole statements and dot commands."""
        lines: list[str] = []
        while True:
            try:
                line = self._line("leadpipe> " if not lines else "     ...> ")
            except KeyboardInterrupt:
                self._say("")
                lines = []
                continue
            if line is None:
                break
            if not lines and line.strip().startswith("."):
                yield line.strip()
                continue
            if line.strip():
                lines.append(line)
            text = "\n".join(lines)
            if text and (not line.strip() or line.rstrip().endswith(";")):
                lines = []
                yield text
        if lines:
            yield "\n".join(lines)

    def _line(self, prompt: str) -> str | None:
        if not self._is_tty:
            return sys.stdin.readline() or None
        try:
            return input(prompt)
        except EOFError:
            self._say("")
            return None

    @contextmanager
    def _history(self) -> Generator[None]:
        try:
            import readline
        except ImportError:
            readline = None
        if readline is None or not self._is_tty:
            yield
            return
        file = self._session.home / "sql_history"
        with suppress(OSError):
            file.touch(mode=0o600)
            readline.read_history_file(file)
        readline.set_history_length(HISTORY_LINES)
        try:
            yield
        finally:
            with suppress(OSError):
                readline.write_history_file(file)

    # answering

    def _answer(self, text: str, *, nothing: str | None = None) -> None:
        """Print the answer, or ``nothing`` as an error where there are no rows and that means a wrong name."""
        error = self.answer_stoppably(text, nothing) if self._is_tty else self._print_all(text, nothing)
        if error is not None:
            self._has_failed = True
            sys.stdout.flush()
            self._say(error)

    def _print_all(self, text: str, nothing: str | None = None) -> str | None:
        """Answer every statement; what went wrong, in words."""
        import duckdb

        try:
            for statement in self._session.statements(text):
                answer = self._session.execute(statement)
                if nothing is not None and answer is not None and not answer.limit(1).fetchall():
                    return nothing
                print_rows(answer, self._output, sys.stdout)
        except (LeadpipeError, duckdb.Error) as error:  # a shell outlives any statement
            return str(error)
        return None

    def answer_stoppably(self, text: str, nothing: str | None = None) -> str | None:
        """Answer every statement, while Ctrl-C stops the statement and not the shell; what went wrong, in words.

        Python handles a signal between two of its own instructions, and a statement is one of them however long it
        takes; so it runs in a thread, and this one waits for the signal. It waits for the future: in Python 3.11 a
        ``Thread.join`` that a signal interrupts takes the thread for ended, and two statements then share a connection.
        """
        is_stopped = False
        with ThreadPoolExecutor(1, "sql") as pool:
            work = pool.submit(self._print_all, text, nothing)
            while not work.done():
                try:
                    wait([work], timeout=0.1)
                except KeyboardInterrupt:
                    is_stopped = True
                    self._session.interrupt()
        return "stopped" if is_stopped else work.result()

    def _command(self, text: str) -> bool:
        """Do one dot command; False to leave."""
        word, _, rest = text.partition(" ")
        rest = rest.strip().rstrip(";")
        match word:
            case ".quit" | ".exit" | ".q":
                return False
            case ".tables":
                self._answer(TABLES)
            case ".schema" if rest:
                self._answer(_columns_query(rest), nothing=f"no table {rest}; .tables lists what there is")
            case ".schema":
                self._answer("describe")
            case ".reach":
                self._say(str(self._session.reach()))
            case ".mode" if rest in FORMATS:
                self._output = rest
            case ".help":
                self._say(HELP)
            case _:
                self._say(f"no such command: {text}\n{HELP}")
        return True

    def _say(self, words: str) -> None:
        print(words, file=sys.stderr, flush=True)  # noqa: T201 - the shell's own words


def _columns_query(table: str) -> str:
    meanings = _meanings(table)
    return COLUMNS.format(
        name=_literal(table),
        names=f"[{', '.join(map(_literal, meanings))}]",
        meanings=f"[{', '.join(map(_literal, meanings.values()))}]",
    )


def _meanings(table: str) -> dict[str, str]:
    """What dbt's manifest says of a table's columns; nothing when there is no manifest."""
    from leadpipe.store.dbt import MANIFEST

    try:
        manifest = json.loads(MANIFEST.read_bytes())
    except (OSError, ValueError):
        return {}
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        name = node.get("alias") or node["name"]
        if node["resource_type"] in ("model", "source") and table in (name, f"{node['schema']}.{name}"):
            return {column: known["description"] for column, known in node["columns"].items()}
    return {}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
