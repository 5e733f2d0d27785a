"""``leadpipe messages``: what waits for a person, and the person's decisions.

What lives here: arguments and printing. What does not: judging and moving (``messaging.review``).
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.messaging.review import Decided, Listed
    from leadpipe.runtime import Runtime

app = typer.Typer(
    help="Messages that wait for a person: list, release, reject, resolve.",
    epilog="Example: leadpipe messages list --state review",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="Message id, from `leadpipe messages list`.")]
By = Annotated[str, typer.Option("--by", help="Who decides; empty: the name of this account.")]
# States that a decision may end in without being what the person asked for.
_NOT_DONE = frozenset({"blocked", "review", "expired"})


@app.command("list")
def list_(
    state: Annotated[str, typer.Option("--state", help="review, parked, unknown or any other state.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List messages; without --state all that wait for a person (review, unknown, parked).

    Example: leadpipe messages list --state review
    """
    from leadpipe.messaging.protocol import State
    from leadpipe.messaging.review import list_messages
    from leadpipe.runtime import open_runtime

    if state and state not in set(State):
        typer.echo(f"--state {state} is no state; use one of {', '.join(State)}", err=True)
        raise typer.Exit(2)
    with failing():
        runtime = open_runtime()
        try:
            with runtime.engine.connect() as connection:
                found = list_messages(connection, state=state or None, limit=limit)
        finally:
            runtime.close()
    if as_json:
        typer.echo(json.dumps([asdict(message) for message in found], default=str, indent=2))
    elif found:
        _table(found)
    else:
        typer.echo(f"no message is in state {state}" if state else "no message waits for a person")


@app.command()
def release(message_id: MessageId, by: By = "", as_json: AsJson = False) -> None:
    """Let a message under review go, if the rules still allow it: it is judged again, by the system's own settings.

    Exit 1 when the rules refuse it. Example: leadpipe messages release 5b1c2a0e-3f70-4c55-9f0f-8f3f0d2f9f10
    """
    from leadpipe.messaging import review
    from leadpipe.store.house_settings import refuse_other_settings

    def judge(runtime: Runtime) -> Decided:
        refuse_other_settings(runtime.settings)
        return review.release(
            runtime.engine, message_id, by=_who(by), now=runtime.clock.now(), settings=runtime.settings
        )

    _decide(judge, as_json)


@app.command()
def reject(
    message_id: MessageId,
    reason: Annotated[str, typer.Option(help="Kept with the message, a word or two.")] = "rejected",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Cancel a message under review.

    Example: leadpipe messages reject 5b1c2a0e-3f70-4c55-9f0f-8f3f0d2f9f10 --reason wrong_tone
    """
    from leadpipe.messaging import review

    _decide(
        lambda runtime: review.reject(runtime.engine, message_id, by=_who(by), now=runtime.clock.now(), reason=reason),
        as_json,
    )


@app.command()
def resolve(
    message_id: MessageId,
    was_sent: Annotated[bool | None, typer.Option("--sent/--not-sent", help="What the provider's log shows.")] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Say what became of a message whose call gave no answer; it is never sent again either way.

    Example: leadpipe messages resolve 5b1c2a0e-3f70-4c55-9f0f-8f3f0d2f9f10 --not-sent
    """
    from leadpipe.messaging import review

    if was_sent is None:
        typer.echo("say --sent or --not-sent: what does the provider's own log show for this message?", err=True)
        raise typer.Exit(2)
    _decide(
        lambda runtime: review.resolve(
            runtime.engine, message_id, was_sent=was_sent, by=_who(by), now=runtime.clock.now()
        ),
        as_json,
    )


def _decide(decision: Callable[[Runtime], Decided], as_json: bool) -> None:
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            done = decision(runtime)
        finally:
            runtime.close()
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str))
    else:
        why = f" ({done.code})" if done.code else ""
        until = f" until {done.until:%Y-%m-%d %H:%M} UTC" if done.until else ""
        typer.echo(f"{done.message_id}: {done.state}{until}{why}")
    if str(done.state) in _NOT_DONE:
        raise typer.Exit(1)


def _who(by: str) -> str:
    return by or getpass.getuser()


def _table(found: list[Listed]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "state", "why", "person", "plan / step", "channel", "segments", "due (UTC)", "words", box=None)
    for message in found:
        words = " ".join((message.subject or message.body).split())
        table.add_row(
            message.id,
            message.state,
            message.code or "",
            str(message.person_id),
            f"{message.plan} / {message.step}",
            message.channel,
            str(message.segments or ""),
            f"{message.due_at:%m-%d %H:%M}",
            words[:60],
        )
    console = Console()
    # A table cut to the width of a pipe would cut the ids.
    Console(width=None if console.is_terminal else 240).print(table)
