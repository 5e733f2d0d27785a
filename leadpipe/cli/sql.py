"""``leadpipe sql``: the lake, read-only, while everything runs.

What lives here: the command, its options and its exit codes. What does not: the shell's reading and its dot commands
(``sql_shell``), printing of rows (``sql_output``), attaching and errors in words (``sql_session``).

It must answer within a second and a half from cold, so nothing heavy is imported here and no engine of the ledger is
built.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.errors import LeadpipeError, TransientError

if TYPE_CHECKING:
    from leadpipe.cli.sql_session import Session

FINDING = 1
WRONG_USE = 2


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def sql(
    query: Annotated[str | None, typer.Argument(help="One or more statements; none opens a shell.")] = None,
    output: Annotated[Format, typer.Option("--format", "-f", help="How rows are printed.")] = Format.TABLE,
    attach: Annotated[bool, typer.Option("--attach", help="Print the SQL that attaches the lake elsewhere.")] = False,
) -> None:
    """Query the lake, read-only, at any time; several at once are fine.

    Without a query it is a shell: statements end with a semicolon, `.help` lists what else it knows. `--attach` prints
    what DuckDB's own command line, a notebook or another tool must run to see the same.

    Example: leadpipe sql "select stage, count(*) from marts.leads group by all" --format csv
    """
    from leadpipe.cli.sql_session import open_session

    try:
        with open_session() as session:
            if attach:
                print(session.attach_script(), end="")  # noqa: T201 - what was asked for
                raise typer.Exit
            code = _run(session, query, output)
    except LeadpipeError as error:
        print(f"leadpipe sql: {error}", file=sys.stderr)  # noqa: T201 - the command's own words
        code = FINDING if isinstance(error, TransientError) else WRONG_USE
    except BrokenPipeError:
        # `| head` has seen enough; what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    raise typer.Exit(code)


def _run(session: Session, query: str | None, output: Format) -> int:
    from leadpipe.cli.sql_output import print_rows
    from leadpipe.cli.sql_shell import Shell

    if query is None:
        return Shell(session, output.value).run()
    for statement in session.statements(query):
        print_rows(session.execute(statement), output.value, sys.stdout)
    sys.stdout.flush()
    return 0
