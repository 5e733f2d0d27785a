"""``leadpipe webhooks``: our subscriptions at Follow Up Boss.

What lives here: arguments and printing. What does not: the comparison and the changes (``crm.webhooks``).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.crm.webhooks import Hook
    from leadpipe.runtime import Runtime

app = typer.Typer(help="Our webhooks at Follow Up Boss: install, look at, remove.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
ADVICE = {
    "disabled": "switched off by Follow Up Boss; run `leadpipe webhooks install`",
    "stale": "calls an older address of ours; run `leadpipe webhooks install`",
    "missing": "run `leadpipe webhooks install`",
    "crowded": "other addresses of this system hold both places; run `leadpipe webhooks remove` there",
}


@app.command()
def install(as_json: AsJson = False) -> None:
    """Create the webhooks that are missing and switch on those that are disabled; safe to repeat.

    Needs the account owner's API key. Example: leadpipe webhooks install
    """
    from leadpipe.crm import webhooks

    with failing(), _runtime() as runtime:
        hooks = webhooks.install(runtime.crm, runtime.settings)
    _show(hooks, as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show each event's webhook. Exit 1 when one is missing or disabled.

    Example: leadpipe webhooks status --json
    """
    from leadpipe.crm import webhooks

    with failing(), _runtime() as runtime:
        hooks = webhooks.status(runtime.crm, runtime.settings)
    _show(hooks, as_json)


@app.command()
def remove(as_json: AsJson = False) -> None:
    """Delete our webhooks, and no one else's. Leads are then found by polling only.

    Example: leadpipe webhooks remove
    """
    from leadpipe.crm import webhooks

    with failing(), _runtime() as runtime:
        count = webhooks.remove(runtime.crm, runtime.settings)
    typer.echo(json.dumps({"removed": count}) if as_json else f"{count} webhooks removed")


@contextmanager
def _runtime() -> Generator[Runtime]:
    from leadpipe.runtime import open_runtime

    runtime = open_runtime()
    try:
        yield runtime
    finally:
        runtime.close()


def _show(hooks: Sequence[Hook], as_json: bool) -> None:
    if as_json:
        rows = [{"event": hook.event, "state": hook.state, "id": hook.hook_id} for hook in hooks]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for hook in hooks:
            advice = ADVICE.get(hook.state, "")
            typer.echo(f"{hook.event:<24} {hook.state:<9} {advice}".rstrip())
    if not all(hook.is_right for hook in hooks):
        raise typer.Exit(1)
