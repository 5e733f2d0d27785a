"""``leadpipe fairness``: are some groups of new leads answered otherwise than all of them?

What lives here: arguments and printing. What does not: groups, measures and tests (``monitoring.fairness``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from leadpipe.cli.failing import failing
from leadpipe.cli.opened import opened_runtime

if TYPE_CHECKING:
    from rich.table import Table

    from leadpipe.monitoring.fairness import Grouping, Measure

app = typer.Typer(
    help="Are some groups of new leads answered otherwise than all of them?",
    epilog="Example: leadpipe fairness report --quarter 2026Q3",
    no_args_is_help=True,
)
_QUARTER = re.compile(r"(?P<year>\d{4})-?[Qq](?P<number>[1-4])")
_TITLES = {
    "first_touch_seconds": "first touch, median",
    "contacted": "contacted",
    "replied": "replied, of those",
    "handed_off": "handed off, of those",
}
_WIDTH = 160


@app.callback()
def fairness() -> None:
    """Are some groups of new leads answered otherwise than all of them?"""


@app.command()
def report(
    quarter: Annotated[
        str, typer.Option("--quarter", metavar="2026Q4", help="By the team's calendar; empty: the last that is over.")
    ] = "",
    groups: Annotated[
        Path | None,
        typer.Option("--groups", metavar="FILE.csv", help="Groups of your own: columns zip and group; never stored."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Response time, contact, replies and hand-offs of a quarter's new leads, by group, beside all of them.

    Groups are language, ZIP3 area and source; fewer than 30 leads are withheld. Nothing of it is stored.

    Example: leadpipe fairness report --quarter 2026Q3 --groups areas.csv --json
    """
    from leadpipe.monitoring.fairness import TRAITS, compare, trait_of_file, whole
    from leadpipe.monitoring.fairness_leads import read_leads

    with failing(), opened_runtime() as runtime:
        traits = TRAITS | ({"file": trait_of_file(groups)} if groups is not None else {})
        now, zone = runtime.clock.now(), ZoneInfo(runtime.settings.team_timezone)
        named, begin, end = _quarter(quarter, now, zone)
        with runtime.engine.connect() as connection:
            leads = read_leads(connection, begin=begin, end=end)
    every = whole(leads)
    found = [compare(leads, by, trait) for by, trait in traits.items()]
    head = {"quarter": named, "begin_at": begin.isoformat(), "end_at": end.isoformat(), "as_of": now.isoformat()}
    if as_json:
        body = {"leads": len(leads), **{name: measure.as_json() for name, measure in every.items()}}
        typer.echo(json.dumps(head | {"whole": body, "by": [each.as_json() for each in found]}, indent=2))
    else:
        _print(named, len(leads), every, found, is_over=now >= end)


def _quarter(said: str, now: datetime, zone: ZoneInfo) -> tuple[str, datetime, datetime]:
    """A quarter's name and its bounds by the team's clock.

    Raises:
        typer.BadParameter: it is none.
    """
    if said:
        match = _QUARTER.fullmatch(said.strip())
        if match is None:
            raise typer.BadParameter(f"{said!r} is no quarter; write 2026Q4", param_hint="--quarter")
        number = int(match["year"]) * 4 + int(match["number"]) - 1
    else:
        today = now.astimezone(zone)
        number = today.year * 4 + (today.month - 1) // 3 - 1
    begin, end = (datetime(each // 4, each % 4 * 3 + 1, 1, tzinfo=zone) for each in (number, number + 1))
    return f"{number // 4}Q{number % 4 + 1}", begin, end


def _print(named: str, count: int, every: Mapping[str, Measure], found: Sequence[Grouping], *, is_over: bool) -> None:
    from rich.console import Console

    from leadpipe.monitoring.fairness import FEWEST

    # A table cut to the width of a pipe would cut the figures.
    console = Console(width=None if Console().is_terminal else _WIDTH, highlight=False, markup=False)
    running = "" if is_over else ", which is not over"
    console.print(f"{named}{running}: {count} new leads", soft_wrap=True)
    if count < FEWEST:
        console.print(f"Fewer than {FEWEST} leads say nothing; --quarter names another quarter.", soft_wrap=True)
        return
    for name, title in _TITLES.items():
        console.print(f"  {title}: {_figure(name, every[name])} ({every[name].of})", soft_wrap=True)
    for grouping in found:
        console.print(_table(grouping))
        if grouping.withheld_groups:
            console.print(
                f"withheld: {grouping.withheld_leads} leads in {grouping.withheld_groups} groups too small to tell of",
                soft_wrap=True,
            )
    console.print(
        "In brackets: the difference to all leads, with its 95 % interval. * is beyond chance against the other leads, "
        "corrected for the number of comparisons. A difference says where to look, not why.",
        soft_wrap=True,
    )


def _table(grouping: Grouping) -> Table:
    from rich.table import Table

    table = Table(title=f"by {grouping.by}", title_justify="left")
    table.add_column("group")
    table.add_column("leads", justify="right")
    for title in _TITLES.values():
        table.add_column(title)
    for group in grouping.groups:
        table.add_row(group.name, str(group.leads), *(_cell(name, group.measures[name]) for name in _TITLES))
    return table


def _cell(name: str, measure: Measure) -> str:
    if measure.value is None:
        return f"too few ({measure.of})"
    bounds = [_figure_of(name, value, signed=True) for value in (measure.difference, measure.low, measure.high)]
    mark = " *" if measure.is_unlike else ""
    return f"{_figure(name, measure)} ({bounds[0]}; {bounds[1]} to {bounds[2]}){mark}"


def _figure(name: str, measure: Measure) -> str:
    return "too few" if measure.value is None else _figure_of(name, measure.value)


def _figure_of(name: str, value: Any, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{value:{sign}.0f} s" if name == "first_touch_seconds" else f"{value * 100:{sign}.1f} %"
