"""``leadpipe retention``: what is past its time, and removing it.

What lives here: arguments and printing. What does not: the rules (``privacy.retention``), the nightly run.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from leadpipe.cli.failing import failing

app = typer.Typer(help="How long data is kept: show what is due, remove it.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.callback()
def _group() -> None:
    """How long data is kept."""


@app.command()
def run(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without, only say what is due.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say by kind what is past its time; with `--yes` remove it. Every night does the same under LEADPIPE_RETENTION.

    Example: leadpipe retention run
    """
    from leadpipe.audit.acts import whoami
    from leadpipe.privacy import retention
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            now = runtime.clock.now()
            due = retention.due(runtime.engine, runtime.lake, now=now)
            done = retention.carry_out(runtime.engine, runtime.lake, due, now=now, actor=whoami()) if yes else {}
        finally:
            runtime.close()
    if as_json:
        found = [{"kind": d.rule.kind, "keep_days": d.rule.keep.days, "due": d.count} for d in due]
        typer.echo(json.dumps({"due": found, "removed": done}))
        return
    for each in due:
        state = f"{done[each.rule.kind]} removed" if each.rule.kind in done else f"{each.count} due"
        typer.echo(f"{each.rule.about}: kept {each.rule.keep.days} days ({each.rule.why}), {state}")
    if not yes and any(each.count for each in due):
        typer.echo("remove them: leadpipe retention run --yes")
