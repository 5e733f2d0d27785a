"""``leadpipe sending``: stop, resume and show what may leave, and take the right to send.

What lives here: arguments and printing. What does not: what they name (``sending_scopes``), the switch itself
(``messaging.switch``), the right (``take_over``).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.sending_scopes import (
    numbers_named,
    refuse_unknown_channels,
    refuse_unknown_plans,
    resume_some,
    shown_switch,
    words_of_switch,
)
from leadpipe.cli.take_over import shown, take_over, words_of

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
    number: Annotated[
        list[str] | None,
        typer.Option("--number", help="Only to this phone number or email address; one of ours: what sends by it."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = "",
    as_json: AsJson = False,
) -> None:
    """Stop sending for every process within a second; it stays stopped until resumed.

    Example: leadpipe sending stop --channel sms --reason "wrong template"
    """
    from leadpipe.cli.emergency import emergency_settings
    from leadpipe.messaging import switch
    from leadpipe.runtime import Runtime

    refuse_unknown_channels(channel or ())
    with failing():
        emergency = emergency_settings()
        runtime = Runtime(emergency.settings)
        try:
            refuse_unknown_plans(runtime, plan or ())
            named = numbers_named(runtime, number or (), left_out=emergency.left_out)
            after = switch.stop(
                runtime.engine,
                now=runtime.clock.now(),
                reason=reason,
                plans=plan or (),
                channels=[*(channel or ()), *(own for one in named for own in one.channels)],
                contact_points=[point for one in named for point in one.contact_points],
            )
            found, words = shown_switch(runtime, after), words_of_switch(runtime, after)
        finally:
            runtime.close()
    _print(found, as_json, words)


@app.command()
def resume(
    plan: Annotated[
        list[str] | None, typer.Option("--plan", help="Only this plan: its stop, and the pause of its email.")
    ] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Only this channel's stop.")] = None,
    number: Annotated[
        list[str] | None, typer.Option("--number", help="Only the stop of this phone number or email address.")
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

    refuse_unknown_channels(channel or ())
    with failing():
        runtime = open_runtime()
        try:
            refuse_other_settings(runtime.settings)
            if plan or channel or number or domain:
                found, words = resume_some(
                    runtime, plans=plan or (), channels=channel or (), numbers=number or (), domain=domain
                )
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
            found, stopped = shown_switch(runtime, now), words_of_switch(runtime, now)
        finally:
            runtime.close()
    # Texts are some of all messages: the number's own cap may leave more than the caps of all do.
    texts = max(0, min(room.total, room.sms))
    found |= {
        "at": at,
        "is_simulated": bool(ahead),
        "mode": mode,
        "waiting": waiting,
        "room": {"any": room.total, "sms": texts, "aged_email_per_day": warming},
        "resting_seconds": {provider: round(left, 1) for provider, left in resting.items()},
        "right": shown(standing),
    }
    counts = ", ".join(f"{state} {count}" for state, count in waiting.items()) or "nothing waits"
    lines = [stopped, words_of(standing)] if standing.may_send else [words_of(standing), stopped]
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
    if not now.is_on or now.email_pauses or not standing.may_send:
        raise typer.Exit(1)


def _rests(switch: Any) -> list[str]:
    """A line for each pause of marketing email, with the way out."""
    return [
        f"{rate.words()}; when its cause is gone: leadpipe sending resume --{rate.scope.replace(':', ' ')}"
        for rate in switch.email_pauses
    ]


def _print(found: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json.dumps(found, default=str) if as_json else words)
