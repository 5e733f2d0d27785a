"""``leadpipe sending``: stop, resume and show what may leave, and take the right to send.

What lives here: arguments and printing. What does not: the switch itself (``messaging.switch``), the right
(``take_over``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.take_over import shown, take_over, words_of

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

app = typer.Typer(
    help="Stop all sending now, resume it, see where it stands.",
    epilog='Example: leadpipe sending stop --reason "wrong template"',
    no_args_is_help=True,
)

app.command("take-over")(take_over)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.command()
def stop(
    plan: Annotated[list[str] | None, typer.Option("--plan", help="Only this plan; may be given again.")] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Only email, sms or whatsapp.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = "",
    as_json: AsJson = False,
) -> None:
    """Stop sending for every process within a second; it stays stopped until resumed.

    Example: leadpipe sending stop --channel sms --reason "wrong template"
    """
    from leadpipe.messaging import switch
    from leadpipe.runtime import open_runtime
    from leadpipe.store.tables import CHANNELS

    unknown = sorted(set(channel or ()) - set(CHANNELS))
    if unknown:
        typer.echo(f"--channel {unknown[0]} is no channel; use {', '.join(CHANNELS)}", err=True)
        raise typer.Exit(2)
    with failing():
        runtime = open_runtime()
        try:
            _refuse_unknown_plans(runtime, plan or ())
            after = switch.stop(
                runtime.engine, now=runtime.clock.now(), reason=reason, plans=plan or (), channels=channel or ()
            )
        finally:
            runtime.close()
    _print(_shown(after), as_json, _words(after))


@app.command()
def resume(as_json: AsJson = False) -> None:
    """Let messages go again; what became stale while stopped expires first, the rest leaves at the usual caps.

    Example: leadpipe sending resume
    """
    from leadpipe.messaging import switch
    from leadpipe.runtime import open_runtime
    from leadpipe.store.house_settings import refuse_other_settings

    with failing():
        runtime = open_runtime()
        try:
            refuse_other_settings(runtime.settings)
            done = switch.resume(
                runtime.engine,
                now=runtime.clock.now(),
                stale_after=timedelta(hours=runtime.settings.stale_after_hours),
            )
        finally:
            runtime.close()
    words = f"sending resumed: {done.count_expired} stale messages expired, {done.count_waiting} wait for their time"
    _print({"expired": done.count_expired, "waiting": done.count_waiting}, as_json, words)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the right to send, the switch, the mode, what waits and may go, who rests. Exit 1 while nothing may leave.

    Example: leadpipe sending status --json
    """
    from sqlalchemy import text

    from leadpipe.messaging import breaker, caps, right, switch
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            with runtime.engine.connect() as connection:
                standing = right.standing(connection, runtime.settings)
                now = switch.read(connection)
                room = caps.left(connection, runtime.settings, now=runtime.clock.now())
                resting = breaker.resting(connection)
                waiting = {
                    str(state): int(count)
                    for state, count in connection.execute(
                        text(
                            "select state, count(*) from ledger.messages where state in "
                            "('queued', 'held', 'review', 'sending', 'unknown', 'parked') group by 1 order by 1"
                        )
                    )
                }
            mode = str(runtime.settings.sending)
        finally:
            runtime.close()
    found = _shown(now) | {
        "mode": mode,
        "waiting": waiting,
        "room": {"any": room.total, "sms": room.sms},
        "resting_seconds": {provider: round(left, 1) for provider, left in resting.items()},
        "right": shown(standing),
    }
    counts = ", ".join(f"{state} {count}" for state, count in waiting.items()) or "nothing waits"
    lines = [_words(now), words_of(standing)] if standing.may_send else [words_of(standing), _words(now)]
    lines.append(
        f"mode {mode}; {counts}; caps leave {room.total} messages now, {max(room.sms, 0)} of them SMS",
    )
    for provider, left in resting.items():
        lines.append(f"{provider} fails and rests for {left:.0f} s more; then one message tries")
    words = "\n".join(lines)
    _print(found, as_json, words)
    if now.is_stopped or now.plans or now.channels or not standing.may_send:
        raise typer.Exit(1)


def _refuse_unknown_plans(runtime: Runtime, plans: Sequence[str]) -> None:
    """A mistyped name would stop nothing and say that it did.

    Raises:
        ConfigurationError: no file has that plan, and no message that may still leave is of it.
    """
    from sqlalchemy import text

    from leadpipe.conversation.effects import PLAN as ANSWERS
    from leadpipe.errors import ConfigurationError
    from leadpipe.outreach.plan import plan_names

    if not plans:
        return
    known = {ANSWERS, *plan_names(runtime.settings.plans_path)}
    with runtime.engine.connect() as connection:
        known |= set(
            connection.execute(
                text(
                    "select distinct plan from ledger.messages where plan is not null and state in "
                    "('queued', 'held', 'review', 'sending', 'unknown', 'parked')"
                )
            ).scalars()
        )
    unknown = sorted(set(plans) - known)
    if unknown:
        raise ConfigurationError(
            f"--plan {', '.join(unknown)} is no plan, nothing was stopped; there are {', '.join(sorted(known))}"
        )


def _shown(switch: Any) -> dict[str, Any]:
    return asdict(switch)


def _words(switch: Any) -> str:
    parts = [f"plan {name}" for name in switch.plans] + [f"channel {name}" for name in switch.channels]
    if switch.is_stopped:
        stopped = "all sending is stopped"
    elif parts:
        stopped = f"stopped: {', '.join(parts)}"
    else:
        return "sending is on"
    since = f" since {switch.changed_at:%Y-%m-%d %H:%M} UTC" if switch.changed_at else ""
    return stopped + since + (f" ({switch.reason})" if switch.reason else "")


def _print(found: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json.dumps(found, default=str) if as_json else words)
