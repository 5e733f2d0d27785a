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
    from leadpipe.cli.emergency import emergency_settings
    from leadpipe.messaging import switch
    from leadpipe.runtime import Runtime
    from leadpipe.store.tables.base import CHANNELS

    unknown = sorted(set(channel or ()) - set(CHANNELS))
    if unknown:
        typer.echo(f"--channel {unknown[0]} is no channel; use {', '.join(CHANNELS)}", err=True)
        raise typer.Exit(2)
    with failing():
        runtime = Runtime(emergency_settings().settings)
        try:
            _refuse_unknown_plans(runtime, plan or ())
            after = switch.stop(
                runtime.engine, now=runtime.clock.now(), reason=reason, plans=plan or (), channels=channel or ()
            )
        finally:
            runtime.close()
    _print(_shown(after), as_json, _words(after))


@app.command()
def resume(
    plan: Annotated[
        list[str] | None, typer.Option("--plan", help="Only this plan: its stop, and the pause of its email.")
    ] = None,
    domain: Annotated[str, typer.Option("--domain", help="Only the pause of this sending domain's email.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let messages go again; what became stale while stopped expires first, the rest leaves at the usual caps.

    Without an option it ends every stop by hand. Email that rests because too much of it came back goes on only when
    its plan or domain is named; what was sent before then counts no more.

    Example: leadpipe sending resume --domain demo-realty.example
    """
    from leadpipe.messaging import switch
    from leadpipe.runtime import open_runtime
    from leadpipe.store.house_settings import refuse_other_settings

    with failing():
        runtime = open_runtime()
        try:
            refuse_other_settings(runtime.settings)
            if plan or domain:
                found, words = _resume_some(runtime, plan or (), domain)
            else:
                done = switch.resume(
                    runtime.engine,
                    now=runtime.clock.now(),
                    stale_after=timedelta(hours=runtime.settings.stale_after_hours),
                )
                found = {"expired": done.count_expired, "waiting": done.count_waiting}
                words = (
                    f"sending resumed: {done.count_expired} stale messages expired, {done.count_waiting} wait for "
                    "their time"
                )
                with runtime.engine.connect() as connection:
                    words = "\n".join([words, *_rests(switch.read(connection))])
        finally:
            runtime.close()
    _print(found, as_json, words)


def _resume_some(runtime: Runtime, plans: Sequence[str], domain: str) -> tuple[dict[str, Any], str]:
    """End the stops and pauses named.

    Raises:
        ConfigurationError: one of them neither was stopped nor rested; the others were resumed.
    """
    from leadpipe.errors import ConfigurationError
    from leadpipe.messaging import email_pauses, switch

    now, stale_after = runtime.clock.now(), timedelta(hours=runtime.settings.stale_after_hours)
    lines: list[str] = []
    idle: list[str] = []
    expired = woken = 0
    for scope in (*(f"plan:{name}" for name in plans), *((f"domain:{domain.lower()}",) if domain else ())):
        kind, _, name = scope.partition(":")
        was_stopped = kind == "plan" and switch.resume_plan(runtime.engine, name, now=now)
        rested = email_pauses.resume(runtime.engine, scope, now=now, stale_after=stale_after)
        if not was_stopped and rested is None:
            idle.append(f"{kind} {name}")
            continue
        expired, woken = expired + (rested or (0, 0))[0], woken + (rested or (0, 0))[1]
        lines.append(f"{kind} {name} resumed: {(rested or (0, 0))[0]} stale messages expired")
    if idle:
        raise ConfigurationError(f"{', '.join(idle)} was not stopped and did not rest; `leadpipe sending status` shows")
    return {"expired": expired, "woken": woken}, "\n".join(lines)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the right to send, the switch, the mode, what waits and may go, who rests. Exit 1 while any is stopped.

    Example: leadpipe sending status --json
    """
    from sqlalchemy import text

    from leadpipe.cli.emergency import emergency_settings
    from leadpipe.clock import read_offset
    from leadpipe.messaging import breaker, caps, right, switch, warm_up
    from leadpipe.runtime import Runtime

    with failing():
        emergency = emergency_settings()
        runtime = Runtime(emergency.settings)
        try:
            with runtime.engine.connect() as connection:
                standing = right.standing(connection, runtime.settings)
                now = switch.read(connection)
                at = runtime.clock.now()
                room = caps.left(connection, runtime.settings, now=runtime.clock.now())
                resting = breaker.resting(connection)
                warming = warm_up.per_day(connection, runtime.settings, now=runtime.clock.now(), begins=False)
                waiting = {
                    str(state): int(count)
                    for state, count in connection.execute(
                        text(
                            "select state, count(*) from ledger.messages where state in "
                            "('queued', 'held', 'review', 'sending', 'unknown', 'parked') group by 1 order by 1"
                        )
                    )
                }
            mode = "unknown" if "sending" in emergency.left_out else str(runtime.settings.sending)
            ahead = read_offset(runtime.engine)
        finally:
            runtime.close()
    # Texts are some of all messages: the number's own cap may leave more than the caps of all do.
    texts = max(0, min(room.total, room.sms))
    found = _shown(now) | {
        "at": at,
        "is_simulated": bool(ahead),
        "mode": mode,
        "waiting": waiting,
        "room": {"any": room.total, "sms": texts, "aged_email_per_day": warming},
        "resting_seconds": {provider: round(left, 1) for provider, left in resting.items()},
        "right": shown(standing),
    }
    counts = ", ".join(f"{state} {count}" for state, count in waiting.items()) or "nothing waits"
    lines = [_words(now), words_of(standing)] if standing.may_send else [words_of(standing), _words(now)]
    lines.append(f"mode {mode}; {counts}; caps leave {room.total} messages now, at most {texts} of them SMS")
    if ahead:
        lines.append(
            f"times are of a simulated calendar, now {at:%Y-%m-%d %H:%M} UTC; the machine's clock says "
            f"{at - ahead:%Y-%m-%d %H:%M} UTC, by which the right was taken where that came before the calendar"
        )
    if warming is not None:
        lines.append(f"warming up: marketing email to {warming} aged addresses a day")
    lines += _rests(now)
    for provider, left in resting.items():
        lines.append(f"{provider} fails and rests for {left:.0f} s more; then one message tries")
    words = "\n".join(lines)
    _print(found, as_json, words)
    if now.is_stopped or now.plans or now.channels or now.email_pauses or not standing.may_send:
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
    known, more = {ANSWERS}, ""
    try:
        known |= set(plan_names(runtime.settings.plans_path))
    except ConfigurationError as error:  # a plan with messages is stopped nevertheless
        more = f" ({error})"
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
            f"--plan {', '.join(unknown)} is no plan, nothing was stopped; there are {', '.join(sorted(known))}{more}"
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


def _rests(switch: Any) -> list[str]:
    """A line for each pause of marketing email, with the way out."""
    return [
        f"{rate.words()}; when its cause is gone: leadpipe sending resume --{rate.scope.replace(':', ' ')}"
        for rate in switch.email_pauses
    ]


def _print(found: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json.dumps(found, default=str) if as_json else words)
