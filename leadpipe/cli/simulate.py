"""``leadpipe simulate``: what a plan would do in the next days, without doing it.

What lives here: arguments and printing. What does not: the simulation (``simulation``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.times import moment_of

if TYPE_CHECKING:
    from leadpipe.simulation.figures import Simulated


def simulate(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The plan's name, as `leadpipe/outreach/plans` has it.")],
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="TIME", help="Where the days begin, ISO, UTC unless said. Empty: now.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=31, help="How many days.")] = 1,
    listed: Annotated[
        bool, typer.Option("--list", help="Also name each message: person, step, channel, hour.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Play the next days through on a copy of the ledger by the real planner, gate and senders; nobody gets anything.

    All plans are played, since they share people and caps; what is told is about PLAN. The copy needs room beside the
    ledger for as long as it runs. Ledger and lake are only read.

    Example: leadpipe simulate reactivation --days 7
    """
    from leadpipe.runtime import open_runtime
    from leadpipe.simulation.run import simulate as run

    moment = moment_of(as_of, "--as-of")
    with failing():
        runtime = open_runtime()
        try:
            found = run(
                runtime, plan, as_of=moment, count_days=days, tell=lambda words: typer.echo(f"{words} ...", err=True)
            )
        finally:
            runtime.close()
    each = [
        {"person_id": s.person_id, "step": s.step, "occurrence": s.occurrence, "channel": s.channel,
         "hour": s.hour.isoformat(timespec="minutes")}
        for s in found.sends
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.as_json() | ({"messages": each} if listed else {}), indent=2))
        return
    typer.echo("\n".join(_words(found)))
    if listed:
        typer.echo("\n".join(f"{e['hour']}  person {e['person_id']}  {e['step']}  {e['channel']}" for e in each))


def _words(found: Simulated) -> Iterator[str]:
    said = found.as_json()
    yield (
        f"plan {found.plan}, {found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC: {said['count_sends']} "
        f"messages to {said['count_people']} people, ${said['cost_usd']:.2f}"
    )
    if found.segments:
        yield f"{found.segments} SMS segments"
    yield f"other plans send {found.count_others} messages in that time"
    yield from _table(found)
    yield from _reasons("got no message, by reason", found.excluded)
    yield from _reasons("messages that did not leave in that time, by state", found.not_sent)
    for name, at in found.caps_hit.items():
        yield f"cap reached: {name}, first at {at:%Y-%m-%d %H:%M} UTC; what is over it waits"
    if found.expected_replies is None:
        yield "replies to expect: too few messages went before to say"
    else:
        yield f"replies to expect: {found.expected_replies:.1f}, by what came before"
    yield from (f"note: {note}" for note in found.notes)


def _table(found: Simulated) -> Iterator[str]:
    rows = found.by_hour()
    if rows:
        yield f"{'hour (team time)':<18}{'channel':<10}{'sends':>6}  agents usually at work"
    for row in rows:
        hour = row["hour"][:16].replace("T", " ")
        yield f"{hour:<18}{row['channel']:<10}{row['count']:>6}  {row['agents_on_shift']}"


def _reasons(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    from leadpipe.explain.wording import means, outcome_means

    if counts:
        yield f"{title}:"
    for reason, count in counts.items():
        outcome, _, code = reason.partition(":")
        why = f"inside the plan at {code}" if outcome == "not_due" else means(code) if code else outcome_means(outcome)
        yield f"  {count:>6}  {outcome} ({why})"
