"""``leadpipe explain``: why a lead got a message or none, and why a message went or did not.

What lives here: arguments and printing. What does not: what is told (``explain``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.times import moment_of

if TYPE_CHECKING:
    from rich.table import Table

    from leadpipe.explain.judged import Told
    from leadpipe.explain.lead import LeadTold
    from leadpipe.explain.message import MessageTold
    from leadpipe.runtime import Runtime

_WIDTH = 160


def explain(
    subject: Annotated[
        str, typer.Argument(metavar="LEAD|MESSAGE", help="A person id of Follow Up Boss, or a message id.")
    ],
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="As of this moment, ISO; without a zone it is UTC. Empty: now.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Say in words why a lead got a message or none, or why a message went or not, with every rule's own verdict.

    For a moment in the past it tells what was decided by then; what would be decided is computed for that moment from
    what was known then, as far as it is kept. Exit 1 when there is no such lead or message.

    Example: leadpipe explain 42 --at 2026-11-25T09:00-06:00
    """
    from leadpipe.errors import Rejected
    from leadpipe.explain import record
    from leadpipe.runtime import open_runtime

    moment = moment_of(at, "--at")
    is_message = record.is_message_id(subject)
    if not is_message and not subject.isdecimal():
        typer.echo(
            f"{subject!r} is neither a person id of Follow Up Boss (a number) nor a message id; "
            "`leadpipe messages list` shows message ids",
            err=True,
        )
        raise typer.Exit(2)
    with failing():
        runtime = open_runtime()
        try:
            told = _message(runtime, subject, moment) if is_message else _lead(runtime, int(subject), moment)
        except Rejected as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        finally:
            runtime.close()
    if as_json:
        typer.echo(json.dumps(told.as_json(), default=_plain, indent=2, ensure_ascii=False))
    else:
        _print(told)


def _message(runtime: Runtime, message_id: str, at: datetime | None) -> MessageTold:
    from leadpipe.errors import Rejected
    from leadpipe.explain import message, record

    moment = at or runtime.clock.now()
    with runtime.engine.connect() as connection:
        found = record.read(connection, message_id, by=moment)
    if found.row.created_at > moment:
        raise Rejected(f"message {message_id} was not there yet; it was made {found.row.created_at:%Y-%m-%d %H:%M} UTC")
    return message.tell(found)


def _lead(runtime: Runtime, person_id: int, at: datetime | None) -> LeadTold:
    from leadpipe.explain import lead
    from leadpipe.outreach.facts import zips_of
    from leadpipe.outreach.variables import market_variables_for

    now = runtime.clock.now()
    moment = at or now
    with runtime.engine.connect() as connection:
        zips = zips_of(connection, [person_id])
        market = market_variables_for(runtime.market_facts.for_zips(zips), now=moment)
        return lead.tell(connection, person_id, at=moment, now=now, settings=runtime.settings, market=market)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _print(told: MessageTold | LeadTold) -> None:
    from rich.console import Console

    from leadpipe.explain.lead import LeadTold

    # A table cut to the width of a pipe would cut the words.
    width = None if Console().is_terminal else _WIDTH
    console = Console(width=width, highlight=False, markup=False)
    for sentence in told.sentences:
        console.print(sentence, soft_wrap=True)
    if isinstance(told, LeadTold):
        console.print(_candidates(told))
        for reach in told.reaches:
            about = f"plan {reach.plan}" if reach.plan else "no words"
            console.print(f"\nBy {reach.channel}, {reach.purpose}, {about}", soft_wrap=True)
            _print_verdict(console, reach.told)
    elif told.verdicts:
        console.print(f"\nAt the last judging ({told.verdicts[-1].moment})", soft_wrap=True)
        _print_verdict(console, told.verdicts[-1])


def _print_verdict(console: Any, told: Told) -> None:
    for line in _behind(told):
        console.print(f"  {line}", soft_wrap=True)
    console.print(_rules(told))


def _behind(told: Told) -> Iterator[str]:
    from leadpipe.explain.judged import utc

    yield f"judged for {utc(told.judged_for)} by policy pack {told.pack}"
    if told.places:
        where = [
            f"{p['zone']}{' (' + p['state'] + ')' if p['state'] else ''} {p['local_time'][11:16]}" for p in told.places
        ]
        yield f"where they may be, and the time there: {', '.join(where)}; from {', '.join(told.place_from)}"
    else:
        yield "where they are is unknown, so the hours that are legal everywhere count"
    for home in told.homes:
        yield f"a home it offers or speaks of: {home['status'] or 'status unknown'}, {_looked(home['checked_at'])}"
    if told.consent is not None:
        c = told.consent
        source = c.source or "no named source"
        yield f"consent: {c.level} for {c.channel} since {utc(c.at)}, from {source} (consent {c.id})"
    else:
        yield "consent: none that carries this"
    yield f"first legal moment: {utc(told.first_legal_at) if told.first_legal_at else 'none as things stand'}"


def _looked(at: str | None) -> str:
    from leadpipe.explain.judged import utc

    return f"last seen {utc(datetime.fromisoformat(at))}" if at else "seen by nobody"


def _rules(told: Told) -> Table:
    from rich.table import Table

    from leadpipe.explain.wording import means

    table = Table("gate", "rule", "asks for", "verdict", "why", box=None, padding=(0, 2, 0, 0))
    asked = [ruling for ruling in told.rulings if ruling.decision != "not asked"]
    for ruling in asked:
        until = f", until {ruling.until[:16].replace('T', ' ')} UTC" if ruling.until else ""
        why = means(ruling.code) if ruling.code else ""
        table.add_row(f"  {ruling.gate}", ruling.rule, ruling.asks, ruling.decision, f"{why}{until}")
    if len(asked) < len(told.rulings):
        table.add_row("  words", "", "what the words say", "not asked", "there are no words yet")
    return table


def _candidates(told: LeadTold) -> Table:
    from rich.table import Table

    table = Table("\nplan", "\npriority", "\noutcome", "\nwhy", box=None, padding=(0, 2, 0, 0))
    for candidate in told.candidates:
        table.add_row(f"  {candidate.plan}", str(candidate.priority), candidate.outcome, candidate.reason)
    return table
