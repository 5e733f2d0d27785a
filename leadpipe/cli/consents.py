"""``leadpipe consents``: bring in what people agreed to, and show what is held of one person.

What lives here: arguments, files and printing; no contact detail is ever printed. What does not: reading and storing
(``leadpipe.consents``), what a consent allows (``policy``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.columns import read_columns
from leadpipe.cli.failing import failing
from leadpipe.cli.opened import opened_runtime

if TYPE_CHECKING:
    from leadpipe.consents.held import Held
    from leadpipe.consents.report import Imported

app = typer.Typer(
    help="What people agreed to: bring in files of consents, show those of one person.",
    epilog='Example: leadpipe consents import signups.csv --column phone=Mobile --column sms_ok="Text OK" --dry-run',
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
_TAKEN = ("pewc", "express", "inquiry")
_LEFT = {
    "known": "already there",
    "said_no": "say no",
    "stranger": "of nobody the ledger knows",
    "not_theirs": "of an address that is not, or no longer, theirs",
    "shared": "of an address that several people have",
    "unreadable": "cannot be read",
}


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header line.")],
    map_: Annotated[Path | None, typer.Option("--map", help="YAML: columns, constants, timezone ...")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="OURS=THEIRS, e.g. phone=Mobile; may be given again, wins over --map.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each line would become, and why; store nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Store the consents that a file proves; a bare yes is an inquiry. The same file again adds nothing.

    Lines that cannot be read are named by number and kept aside; exit 1 if there were any.

    Example: leadpipe consents import signups.csv --map signups.yaml --dry-run
    """
    from leadpipe.consents.importing import import_file
    from leadpipe.consents.mapping import FIELDS, read_mapping
    from leadpipe.consents.report import Told

    def tell(told: Told) -> None:
        if told.outcome == "unreadable":
            typer.echo(f"{file} line {told.line}: {told.why}", err=True)
        elif dry_run:
            typer.echo(json.dumps(asdict(told)) if as_json else told.words())

    pairs = read_columns(column, FIELDS)
    with failing(), opened_runtime() as runtime:
        columns = read_mapping(map_, pairs, timezone=runtime.settings.team_timezone)
        found = import_file(
            runtime.engine,
            file,
            columns,
            brokerage_name=runtime.settings.brokerage_name,
            now=runtime.clock.now(),
            is_dry_run=dry_run,
            on_told=tell,
        )
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        _print(found)
    if found.outcomes["unreadable"]:
        raise typer.Exit(1)


@app.command("list")
def list_(
    person: Annotated[int, typer.Argument(metavar="PERSON", help="Person id, as in Follow Up Boss.")],
    as_json: AsJson = False,
) -> None:
    """Show the consents of a person, what each is worth today, and what of its proof there is.

    Example: leadpipe consents list 42
    """
    from leadpipe.consents.held import held

    with failing(), opened_runtime() as runtime, runtime.engine.connect() as connection:
        found = held(connection, person, settings=runtime.settings, now=runtime.clock.now())
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], default=str))
        return
    for each in found:
        typer.echo(_shown(each))
    if not found:
        typer.echo(f"person {person} has given no consent")


def _print(found: Imported) -> None:
    verb = "would be stored" if found.is_dry_run else "stored"
    taken = ", ".join(f"{found.outcomes[level]} {level}" for level in _TAKEN if found.outcomes[level])
    typer.echo(f"{found.count_lines} lines; {verb}: {taken or 'nothing'}")
    for why, count in found.count_downgraded.most_common():
        typer.echo(f"  {count} got less than the file says: {why}")
    if found.effects["lifts"]:
        typer.echo(f"  {found.effects['lifts']} are newer than a refusal and take it back")
    if found.effects["overruled"]:
        typer.echo(f"  {found.effects['overruled']} are of people who refused: they restore nothing")
    left = ", ".join(f"{found.outcomes[name]} {words}" for name, words in _LEFT.items() if found.outcomes[name])
    if left:
        typer.echo(f"not stored: {left}")


def _shown(each: Held) -> str:
    worth = "" if each.worth == each.level else f", worth {each.worth} today"
    until = f" until {each.expires_at:%Y-%m-%d}" if each.expires_at else ""
    refused = f"; refused since ({each.refused_at:%Y-%m-%d %H:%M} UTC)" if each.refused_at else ""
    return (
        f"{each.id}: {each.channel} {each.level}{worth}, {each.at:%Y-%m-%d %H:%M} UTC{until}, for {each.scope}, to "
        f"{each.seller or 'nobody named'}, from {each.source}; proof: {', '.join(each.proof) or 'none'}{refused}"
    )
