"""``leadpipe webhooks``: what leadpipe needs in the Follow Up Boss account, subscriptions and custom fields.

What lives here: arguments and printing. What does not: the comparison and the changes (``crm.webhooks``,
``crm.custom_fields``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.opened import opened_runtime

if TYPE_CHECKING:
    from leadpipe.crm.custom_fields import Field
    from leadpipe.crm.webhooks import Hook

app = typer.Typer(
    help="Our webhooks and custom fields at Follow Up Boss: install, look at, remove.",
    epilog="Example: leadpipe webhooks status",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
ADVICE = {
    "disabled": "switched off by Follow Up Boss; run `leadpipe webhooks install`",
    "stale": "calls an older address of ours; run `leadpipe webhooks install`",
    "missing": "run `leadpipe webhooks install`",
    "crowded": "other addresses of this system hold both places; run `leadpipe webhooks remove` there",
}


@app.command()
def install(as_json: AsJson = False) -> None:
    """Create the webhooks and custom fields that are missing, switch on webhooks that are disabled; safe to repeat.

    Needs the account owner's API key. Example: leadpipe webhooks install
    """
    from leadpipe.crm import custom_fields, webhooks
    from leadpipe.messaging import right

    with failing(), opened_runtime() as runtime:
        right.must_be_here(runtime.engine, runtime.settings)
        hooks = webhooks.install(runtime.crm, runtime.settings)
        fields = custom_fields.status(runtime.crm)
    _show(hooks, fields, as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show each event's webhook and each custom field. Exit 1 when one is missing, disabled or of another type.

    Example: leadpipe webhooks status --json
    """
    from leadpipe.crm import custom_fields, webhooks

    with failing(), opened_runtime() as runtime:
        hooks = webhooks.status(runtime.crm, runtime.settings)
        fields = custom_fields.status(runtime.crm)
    _show(hooks, fields, as_json)


@app.command()
def remove(as_json: AsJson = False) -> None:
    """Delete our webhooks, and no one else's. Leads are then found by polling only; custom fields and scores stay.

    Example: leadpipe webhooks remove
    """
    from leadpipe.crm import webhooks
    from leadpipe.messaging import right

    with failing(), opened_runtime() as runtime:
        right.must_be_here(runtime.engine, runtime.settings)
        count = webhooks.remove(runtime.crm, runtime.settings)
    typer.echo(json.dumps({"removed": count}) if as_json else f"{count} webhooks removed")


def _show(hooks: Sequence[Hook], fields: Sequence[Field], as_json: bool) -> None:
    from leadpipe.crm.custom_fields import advice

    if as_json:
        rows = [{"event": hook.event, "state": hook.state, "id": hook.hook_id} for hook in hooks]
        rows += [{"field": field.name, "state": field.state, "id": field.field_id} for field in fields]
        typer.echo(json.dumps(rows, indent=2))
    else:
        lines = [(hook.event, hook.state, ADVICE.get(hook.state, "")) for hook in hooks]
        lines += [(field.name, field.state, advice([field])) for field in fields]
        for name, state, cure in lines:
            typer.echo(f"{name:<24} {state:<10} {cure}".rstrip())
    if not all(each.is_right for each in (*hooks, *fields)):
        raise typer.Exit(1)
