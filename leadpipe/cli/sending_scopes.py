"""What ``leadpipe sending stop|resume`` is told to stop or let go: plans, channels, numbers, domains.

What lives here: refusing names that mean nothing, ending the stops named, and the words for what is stopped. What does
not: arguments and printing (``sending``), the switch itself (``messaging.switch``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from leadpipe.messaging.stopped_numbers import Named
    from leadpipe.messaging.switch import Switch
    from leadpipe.runtime import Runtime


def refuse_unknown_channels(channels: Sequence[str]) -> None:
    """Exit 2 for a channel that is none."""
    from leadpipe.store.tables.base import CHANNELS

    unknown = sorted(set(channels) - set(CHANNELS))
    if unknown:
        typer.echo(f"--channel {unknown[0]} is no channel; use {', '.join(CHANNELS)}", err=True)
        raise typer.Exit(2)


def refuse_unknown_plans(runtime: Runtime, plans: Sequence[str]) -> None:
    """A mistyped name would stop nothing and say that it did.

    Raises:
        ConfigurationError: no file has that plan, and no message that may still leave is of it.
    """
    from sqlalchemy import text

    from leadpipe.conversation.effects import PLAN as ANSWERS
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


def numbers_named(runtime: Runtime, numbers: Sequence[str], *, left_out: Collection[str] = ()) -> list[Named]:
    """Whose each number or address is.

    Args:
        runtime: the ledger, and the settings that name our own numbers.
        numbers: as they were typed.
        left_out: settings that could not be read.

    Raises:
        ConfigurationError: nobody has one of them; it is told masked.
    """
    from leadpipe.messaging import stopped_numbers

    if not numbers:
        return []
    with runtime.engine.connect() as connection:
        found = [stopped_numbers.named(connection, runtime.settings, raw) for raw in numbers]
    unknown = [one.shown for one in found if not one.is_known]
    if unknown:
        unread = [f"LEADPIPE_{name.upper()}" for name in stopped_numbers.OWN_SETTINGS if name in left_out]
        more = f" ({', '.join(unread)} could not be read: use --channel)" if unread else ""
        raise ConfigurationError(
            f"--number {', '.join(unknown)}: nobody in the ledger has it and no channel sends by it, nothing was "
            f"changed; write it whole, as +13125550100 or ana@example.com{more}"
        )
    return found


def resume_some(
    runtime: Runtime, *, plans: Sequence[str], channels: Sequence[str], numbers: Sequence[str], domain: str
) -> tuple[dict[str, Any], str]:
    """End the stops and pauses named.

    Raises:
        ConfigurationError: one of them neither was stopped nor rested, the others were resumed; or nobody has a number.
    """
    from leadpipe.messaging import email_pauses, switch

    engine, now = runtime.engine, runtime.clock.now()
    stale_after = timedelta(hours=runtime.settings.stale_after_hours)
    lines: list[str] = []
    idle: list[str] = []
    expired = woken = 0
    for one in numbers_named(runtime, numbers):
        was = switch.resume_some(engine, now=now, channels=one.channels, contact_points=one.contact_points)
        (lines if was else idle).append(f"number {one.shown}" + (" resumed" if was else ""))
    for name in channels:
        was = switch.resume_some(engine, now=now, channels=[name])
        (lines if was else idle).append(f"channel {name}" + (" resumed" if was else ""))
    for scope in (*(f"plan:{name}" for name in plans), *((f"domain:{domain.lower()}",) if domain else ())):
        kind, _, name = scope.partition(":")
        was_stopped = kind == "plan" and switch.resume_some(engine, now=now, plans=[name])
        rested = email_pauses.resume(engine, scope, now=now, stale_after=stale_after)
        if not was_stopped and rested is None:
            idle.append(f"{kind} {name}")
            continue
        expired, woken = expired + (rested or (0, 0))[0], woken + (rested or (0, 0))[1]
        lines.append(f"{kind} {name} resumed: {(rested or (0, 0))[0]} stale messages expired")
    if idle:
        raise ConfigurationError(f"{', '.join(idle)} was not stopped and did not rest; `leadpipe sending status` shows")
    with engine.connect() as connection:
        left = switch.read(connection)
    if not left.is_on:
        lines.append(f"still {words_of_switch(runtime, left)}")
    return {"expired": expired, "woken": woken}, "\n".join(lines)


def shown_switch(runtime: Runtime, switch: Switch) -> dict[str, Any]:
    """The switch for a program; receivers by id, and masked in ``numbers``."""
    return asdict(switch) | {"numbers": _numbers(runtime, switch)}


def words_of_switch(runtime: Runtime, switch: Switch) -> str:
    """The switch in one line; receivers are masked."""
    parts = [f"plan {name}" for name in switch.plans] + [f"channel {name}" for name in switch.channels]
    parts += [f"number {number}" for number in _numbers(runtime, switch)]
    if switch.is_stopped:
        stopped = "all sending is stopped"
    elif parts:
        stopped = f"stopped: {', '.join(parts)}"
    else:
        return "sending is on"
    since = f" since {switch.changed_at:%Y-%m-%d %H:%M} UTC" if switch.changed_at else ""
    return stopped + since + (f" ({switch.reason})" if switch.reason else "")


def _numbers(runtime: Runtime, switch: Switch) -> list[str]:
    from leadpipe.messaging import stopped_numbers

    if not switch.contact_points:
        return []
    with runtime.engine.connect() as connection:
        return stopped_numbers.shown(connection, switch.contact_points)
