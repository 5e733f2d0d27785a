"""The place tables as a file that comes with leadpipe: read in hundredths of a second.

What lives here: the file's form, writing and reading it. What does not: building the tables (``place_tables``).

Building them from the ``zipcodes`` package takes 1.2 s of processor time and 165 MB in every process that judges a
message: each run of Dagster, each sender after a restart. Written anew, after the package changed, with
``python -m leadpipe.leads.place_file``; a test fails while the two differ.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from leadpipe.leads.place_tables import Candidate, Tables

PATH = Path(__file__).with_name("places.json")
PACKAGE = "zipcodes"
_PLAIN = ("by_zip", "by_prefix", "by_state", "by_area")


def read_tables(path: Path = PATH) -> Tables | None:
    """The tables as they were built; None when the file is not of the package that is installed."""
    from leadpipe.leads.place_tables import Candidate, Tables

    if not path.exists():
        return None
    content: dict[str, Any] = orjson.loads(path.read_bytes())
    if content["version"] != version(PACKAGE):
        return None
    places = [Candidate(zone, state) for zone, state in content["places"]]
    groups = [tuple(places[number] for number in numbers) for numbers in content["groups"]]
    plain: dict[str, dict[str, tuple[Candidate, ...]]] = {}
    for name in _PLAIN:
        table: dict[str, tuple[Candidate, ...]] = {}
        for group, keys in content[name]:
            table |= dict.fromkeys(keys.split("\n"), groups[group])
        plain[name] = table
    by_city: dict[tuple[str, str], tuple[Candidate, ...]] = {}
    for group, state, cities in content["by_city"]:
        found = groups[group]
        for city in cities.split("\n"):
            by_city[city, state] = found
    return Tables(by_city=by_city, **plain)


def write_tables(tables: Tables, path: Path = PATH) -> None:
    """Write the tables, the same bytes for the same tables."""
    by_table = {name: getattr(tables, name) for name in (*_PLAIN, "by_city")}
    groups = sorted({group for table in by_table.values() for group in table.values()}, key=repr)
    places = sorted({place for group in groups for place in group}, key=repr)
    place_number = {place: number for number, place in enumerate(places)}
    content: dict[str, Any] = {
        "version": version(PACKAGE),
        "places": [[place.zone, place.state] for place in places],
        "groups": [[place_number[place] for place in group] for group in groups],
    }
    for name in _PLAIN:
        by_group: dict[int, list[str]] = {}
        for key, group in by_table[name].items():
            by_group.setdefault(groups.index(group), []).append(key)
        content[name] = [[number, "\n".join(sorted(keys))] for number, keys in sorted(by_group.items())]
    by_group_and_state: dict[tuple[int, str], list[str]] = {}
    for (city, state), group in tables.by_city.items():
        by_group_and_state.setdefault((groups.index(group), state), []).append(city)
    content["by_city"] = [[*key, "\n".join(sorted(cities))] for key, cities in sorted(by_group_and_state.items())]
    path.write_bytes(orjson.dumps(content) + b"\n")


if __name__ == "__main__":
    from leadpipe.leads.place_tables import build_tables

    write_tables(build_tables())
