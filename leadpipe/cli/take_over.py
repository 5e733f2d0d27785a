"""``leadpipe sending take-over``: a person gives the right to send to this installation.

What lives here: arguments, what will follow in words, printing. What does not: the right (``messaging.right``), taking
it (``messaging.take_over``).
"""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.messaging.right import Standing
    from leadpipe.messaging.take_over import Follows


def take_over(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only what would follow is shown.")] = False,
    silent_since: Annotated[
        str,
        typer.Option(metavar="TIME", help="ISO time from which on the other installation certainly sent nothing."),
    ] = "",
    nothing_lost: Annotated[
        bool,
        typer.Option("--nothing-lost", help="This ledger is the newest there is: it moved, or has another address."),
    ] = False,
    by: Annotated[str, typer.Option("--by", help="Who decides; empty: the name of this account.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Take the right to send for this installation: after a restore, or for a system that was moved or copied.

    Says first what will follow, and does nothing without --yes (exit 1). The other installation must send no more: two
    that send from two ledgers write to everybody twice.

    Example: leadpipe sending take-over --silent-since 2026-11-25T14:05:00-06:00 --yes
    """
    from leadpipe.messaging import right
    from leadpipe.messaging import take_over as taking
    from leadpipe.runtime import open_runtime
    from leadpipe.store.house_settings import refuse_other_settings

    since = _moment(silent_since) if silent_since else None
    if since is not None and nothing_lost:
        typer.echo("--silent-since tells of a gap, and --nothing-lost says that there is none; give one", err=True)
        raise typer.Exit(2)
    with failing():
        runtime = open_runtime()
        try:
            refuse_other_settings(runtime.settings)
            now = runtime.clock.now()
            with runtime.engine.connect() as connection:
                before = right.standing(connection, runtime.settings)
                follows = taking.what_follows(connection, runtime.settings, until=min(since or now, now))
            is_ours = before.is_here and not (nothing_lost and before.why == right.CATCHING_UP)
            if yes and not is_ours:
                taking.take_over(
                    runtime.engine,
                    runtime.settings,
                    now=now,
                    by=by or getpass.getuser(),
                    silent_since=follows.until,
                    is_complete=nothing_lost,
                )
        finally:
            runtime.close()
    found = {"is_taken": yes and not is_ours, "was": shown(before), "follows": asdict(follows)}
    if is_ours:
        _print(found, as_json, f"the right to send is here already, at {before.here}")
        return
    words = _words_of_taking(before, None if nothing_lost else follows, is_done=yes)
    _print(found, as_json, words)
    if not yes:
        raise typer.Exit(1)


def _moment(words: str) -> datetime:
    try:
        at = datetime.fromisoformat(words)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        typer.echo(
            f"--silent-since {words} is no ISO time with a zone; write for instance 2026-11-25T14:05:00-06:00", err=True
        )
        raise typer.Exit(2)
    return at.astimezone(UTC)


def shown(standing: Standing) -> dict[str, Any]:
    """A standing for a program."""
    return {
        "may_send": standing.may_send,
        "why_not": standing.why,
        "here": standing.here,
        "holder": standing.holder,
        "taken_at": standing.taken_at,
        "taken_by": standing.taken_by,
    }


def words_of(standing: Standing) -> str:
    """A standing for people."""
    from leadpipe.messaging.right import minute

    if standing.words:
        return standing.words
    return f"the right to send is here, at {standing.here}, since {minute(standing.taken_at)}"


def _words_of_taking(before: Standing, follows: Follows | None, *, is_done: bool) -> str:
    from leadpipe.messaging.right import minute

    lines = [before.words]
    if follows is None:
        lines.append("Nothing is in doubt: whatever is due leaves at once, inside caps and hours.")
    else:
        lines += [
            f"This ledger knows of what happened until {minute(follows.since)}; from {minute(follows.until)} on the "
            "other installation is taken to have sent nothing.",
            "First everything that happened meanwhile is read (one whole poll, and the replies of then); until that is "
            "over nothing leaves.",
            f"{follows.count_in_doubt} waiting messages were due before and wait for a person, with the reason "
            f"restored; {follows.count_waiting} are due later and leave by themselves.",
            f"{follows.count_passages} people stand before a step that may have been sent: their next one asks a "
            f"person. {follows.nights} nightly runs lie in between: for as many nights, what is planned anew does too.",
            f"{follows.count_unsure} messages are unsure and looked up; {follows.count_writebacks} writes to the CRM "
            "are looked up or made once more.",
        ]
    if is_done:
        lines.append(f"Taken: the right to send is here, at {before.here}.")
    else:
        lines.append("Nothing was done. If the other installation sends no more, say --yes.")
    return "\n".join(lines)


def _print(found: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json.dumps(found, default=str) if as_json else words)
