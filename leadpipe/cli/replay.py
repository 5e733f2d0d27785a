"""``leadpipe replay``: is a message still explained by what was kept of it?

What lives here: arguments and printing. What does not: making it again (``explain.replay``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.explain.replay import Replayed

_ANSWERS = {
    "identical": "identical: the kept inputs give the same words and the same verdicts",
    "differs": "differs: made again from the kept inputs it is otherwise",
    "changed": "changed: the kept inputs give the same, but a text it was made from is another today",
    "incomplete": "incomplete: not everything it was made from is still there",
}


def replay(
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE", help="Message id, from `leadpipe messages list`.")],
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Only the kept inputs; do not look at today's files and settings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Make a message's words and verdicts again from the kept inputs, without its stored body, and compare.

    Exit 1 when anything differs, a text has changed since, or an input is gone.

    Example: leadpipe replay 5b1c2a0e-3f70-4c55-9f0f-8f3f0d2f9f10
    """
    from leadpipe.errors import Rejected
    from leadpipe.explain import record
    from leadpipe.explain.replay import replay as again
    from leadpipe.runtime import open_runtime

    if not record.is_message_id(message_id):
        typer.echo(f"{message_id!r} is no message id; take one from `leadpipe messages list`", err=True)
        raise typer.Exit(2)
    with failing():
        runtime = open_runtime()
        try:
            with runtime.engine.connect() as connection:
                found = record.read(connection, message_id, by=runtime.clock.now())
            done = again(found, settings=None if recorded else runtime.settings)
        except Rejected as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        finally:
            runtime.close()
    typer.echo(json.dumps(done.as_json(), indent=2, ensure_ascii=False) if as_json else _words(done))
    if done.answer != "identical":
        raise typer.Exit(1)


def _words(done: Replayed) -> str:
    lines = [f"message {done.message_id}: {_ANSWERS[done.answer]}"]
    for check in done.checks:
        lines.append(f"  {check.result:<10} {check.what}")
        lines += [f"             {line}" for line in check.said]
    return "\n".join(lines)
