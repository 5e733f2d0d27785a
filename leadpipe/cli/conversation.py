"""``leadpipe conversation``: see one conversation, pause automation for a lead, let it go on.

What lives here: arguments and printing. What does not: what a pause does (``conversation.takeover``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.conversation.history import Conversation
    from leadpipe.runtime import Runtime

app = typer.Typer(
    help="Conversations with leads: show, pause, resume.",
    epilog="Example: leadpipe conversation show 1207",
    no_args_is_help=True,
)

PersonId = Annotated[int, typer.Argument(metavar="PERSON", help="Person id, as in Follow Up Boss.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.command()
def show(person: PersonId, as_json: AsJson = False) -> None:
    """Show where a conversation stands, what the lead told us, and every message of both sides.

    Exit 1 when the ledger does not know the person. Example: leadpipe conversation show 42
    """
    from leadpipe.conversation.history import told
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            with runtime.engine.connect() as connection:
                found = told(connection, person)
        finally:
            runtime.close()
    if found is None:
        raise _unknown(person)
    typer.echo(json.dumps(found.as_json(), default=str, indent=2, ensure_ascii=False) if as_json else _words(found))


@app.command()
def pause(person: PersonId, as_json: AsJson = False) -> None:
    """Pause automation for a lead: what waits is cancelled and nothing is sent until `resume`.

    Plans stand where they are and go on afterwards. Example: leadpipe conversation pause 42
    """
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            _pause(runtime, person)
        finally:
            runtime.close()
    _done(person, "paused", as_json)


@app.command()
def resume(person: PersonId, as_json: AsJson = False) -> None:
    """Let automation speak to a lead again after a person had taken over; closes the open hand-off.

    It lifts no opt-out: what the lead refused stays refused. Example: leadpipe conversation resume 42
    """
    from leadpipe.conversation import takeover
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            with runtime.engine.begin() as connection:
                _must_know(connection, person)
                takeover.resume(connection, person, by="resumed", now=runtime.clock.now())
        finally:
            runtime.close()
    _done(person, "resumed", as_json)


def _pause(runtime: Runtime, person: int) -> None:
    from leadpipe.conversation import takeover

    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        _must_know(connection, person)
        takeover.pause(connection, person, reason=takeover.BY_COMMAND, now=now)
        takeover.put_conversation(
            connection, person, state="paused", awaits="nobody", reason=takeover.BY_COMMAND, now=now
        )


def _must_know(connection: object, person: int) -> None:
    from sqlalchemy import Connection, text

    assert isinstance(connection, Connection)
    query = text("select person_id from ledger.people where person_id = :id for no key update")
    if connection.execute(query, {"id": person}).scalar() is None:
        raise _unknown(person)


def _unknown(person: int) -> typer.Exit:
    typer.echo(
        f"person {person} is not in the ledger; take the id from Follow Up Boss, or wait for the poller", err=True
    )
    return typer.Exit(1)


def _done(person: int, state: str, as_json: bool) -> None:
    typer.echo(json.dumps({"person_id": person, "automation": state}) if as_json else f"person {person}: {state}")


def _words(found: Conversation) -> str:
    since = f" since {found.since_at:%Y-%m-%d %H:%M} UTC" if found.since_at else ""
    because = f" ({found.reason})" if found.reason else ""
    standing = "no conversation yet" if found.state == "none" else f"{found.state}, awaits {found.awaits}"
    lines = [f"person {found.person_id}: {standing}{since}{because}"]
    if found.paused_by:
        lines.append(f"automation is paused: {found.paused_by}")
    if found.handoff:
        lines.append(f"handed to the agent: {found.handoff}")
    if found.suppressed:
        lines.append(f"refused: {', '.join(found.suppressed)}")
    lines += [f"{key}: {value}   \u201c{sentence}\u201d" for key, value, sentence in found.facts]
    for line in found.lines:
        lines.append(f"\n{line.at:%Y-%m-%d %H:%M} {line.who} by {line.channel} [{line.what}] {line.by}")
        lines += [f"    {part}" for part in line.words.splitlines() if part.strip()]
    return "\n".join(lines)
