"""``leadpipe inbox``: the reports from outside as they were stored.

What lives here: arguments and printing; bodies are never shown, they hold people's words and numbers. What does not:
storing and replaying (``gateway``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.opened import opened_runtime

app = typer.Typer(
    help="Webhooks, callbacks and replies as they came in.",
    epilog="Example: leadpipe inbox list --state kept_aside",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.command("list")
def list_rows(
    state: Annotated[str | None, typer.Option(help="new, handled, kept_aside or unreadable.")] = None,
    source: Annotated[
        str | None, typer.Option(help="fub, twilio_status, twilio_inbound, ses_event or ses_inbound.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List stored reports, newest first.

    Example: leadpipe inbox list --state kept_aside
    """
    from leadpipe.gateway.replay import SOURCES, STATES, rows

    for name, given, known in (("--state", state, STATES), ("--source", source, SOURCES)):
        if given is not None and given not in known:
            typer.echo(f"{name} {given} is unknown; use {', '.join(known)}", err=True)
            raise typer.Exit(2)
    with failing(), opened_runtime() as runtime:
        found = rows(runtime, state=state, source=source, limit=limit)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], indent=2, default=str))
        return
    for row in found:
        typer.echo(
            f"{row.id:>8}  {row.received_at:%Y-%m-%d %H:%M:%S}  {row.source:<14} {row.kind:<22} {row.state:<10} "
            f"{row.reason or ''}".rstrip()
        )
    if not found:
        typer.echo("no report is stored" + (f" in state {state}" if state else ""))


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Rows of `leadpipe inbox list`.")] = None,
    kept_aside: Annotated[bool, typer.Option("--kept-aside", help="Every row that was kept aside.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give stored reports their effect again; what already happened happens no second time. Exit 1 if one fails again.

    Example: leadpipe inbox replay 1207
    """
    from leadpipe.gateway.replay import replay as give_again
    from leadpipe.gateway.replay import row_id, rows

    wanted = [row_id(given) for given in ids or ()]
    if None in wanted:
        wrong = (ids or [])[wanted.index(None)]
        typer.echo(f"{wrong} is no row; `leadpipe inbox list` shows them by their numbers", err=True)
        raise typer.Exit(2)
    if not ids and not kept_aside:
        typer.echo("name the rows to replay, or --kept-aside; `leadpipe inbox list` shows them", err=True)
        raise typer.Exit(2)
    with failing(), opened_runtime() as runtime:
        if kept_aside:
            wanted += [row.id for row in reversed(rows(runtime, state="kept_aside", limit=10_000))]
        done = give_again(runtime, list(dict.fromkeys(each for each in wanted if each is not None)))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in done], indent=2))
    else:
        for each in done:
            typer.echo(f"{each.id:>8}  {each.result}")
        if not done:
            typer.echo("nothing to replay")
    if any(each.is_failed for each in done):
        raise typer.Exit(1)
