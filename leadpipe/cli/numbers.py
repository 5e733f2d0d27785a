"""``leadpipe numbers``: what do-not-call lists and the reassigned-numbers database say of our numbers.

What lives here: arguments, files and printing; no number is ever printed. What does not: matching
(``messaging.number_checks``), what an answer means (``policy``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from leadpipe.cli.columns import read_columns
from leadpipe.cli.failing import failing
from leadpipe.cli.opened import opened_runtime

app = typer.Typer(
    help="What do-not-call lists and the reassigned-numbers database say of our numbers.",
    epilog="Example: leadpipe numbers import dnc registry.csv --day 2026-11-20",
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.command("import")
def import_(
    which: Annotated[str, typer.Argument(metavar="LIST", help="dnc, reassigned, or a state's list as state:TX.")],
    file: Annotated[Path, typer.Argument(help="CSV with a header line.")],
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day the file is of.")],
    column: Annotated[
        list[str] | None,
        typer.Option(help="OURS=THEIRS: number, area_code, local or result, and what the file calls it."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and count; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Store what a file says of our numbers. Lines that cannot be read are counted and named; exit 1 if there were any.

    Example: leadpipe numbers import reassigned answers.csv --day 2026-11-20 --column number=TN --column result=Response
    """
    from leadpipe.messaging.number_checks import COLUMNS, import_file

    columns = read_columns(column, COLUMNS)
    with failing(), opened_runtime() as runtime:
        found = import_file(
            runtime.engine,
            file,
            which=which,
            day=day.date(),
            now=runtime.clock.now(),
            columns=columns,
            is_dry_run=dry_run,
        )
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str))
    else:
        results = ", ".join(f"{result} {count}" for result, count in sorted(found.results.items())) or "none of ours"
        verb = "would be stored" if dry_run else "stored"
        typer.echo(f"{found.which} of {found.day}: {found.count_lines} lines; {verb}: {results}")
        if found.count_detached:
            typer.echo(f"numbers that changed hands were taken from {found.count_detached} people")
    for line in found.unreadable:
        typer.echo(f"{file} {line}", err=True)
    if found.count_unreadable:
        typer.echo(f"{found.count_unreadable} lines were left out", err=True)
        raise typer.Exit(1)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="CSV to write: number and the day of the last consent.")],
) -> None:
    """Write the numbers that the reassigned-numbers database should be asked about.

    Example: leadpipe numbers export ask.csv
    """
    from leadpipe.messaging.number_checks import to_ask
    from leadpipe.policy.pack_file import load_pack

    with failing(), opened_runtime() as runtime:
        now = runtime.clock.now()
        pack = load_pack(now.date())
        rows = list(
            to_ask(runtime.engine, now=now, consent_days=pack.rnd_consent_days, answer_days=pack.rnd_answer_days)
        )
    with failing(), _written(file) as writer:
        writer.writerow(("number", "since"))
        writer.writerows((number, day.isoformat()) for number, day in rows)
    typer.echo(f"{len(rows)} numbers written to {file}")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show how many of our numbers each list was asked about, and how old the answers are.

    Example: leadpipe numbers status --json
    """
    from leadpipe.messaging import number_checks

    with failing(), opened_runtime() as runtime:
        found = number_checks.status(runtime.engine)
    if as_json:
        typer.echo(json.dumps(found, default=str))
        return
    for row in found:
        typer.echo(f"{row['list']:<12} {row['result']:<8} {row['count']:>8}  {row['oldest_at']} to {row['newest_at']}")
    if not found:
        typer.echo("no list was imported; `leadpipe numbers import --help` says how")


@contextmanager
def _written(file: Path) -> Generator[Any]:
    from leadpipe.errors import ConfigurationError

    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            file.chmod(0o600)
            yield csv.writer(stream)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error}") from error
