"""Addresses and secrets where none may be: in logs, in Dagster's runs, and secrets anywhere.

What lives here: the search over what a system left. What does not: any expectation.
"""

from __future__ import annotations

import re

from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.privacy.needles import Needles
from leadpipe.privacy.scan import scan
from leadpipe.runtime import Runtime

_EMAIL = re.compile(r"[a-z0-9._%+-]+@[a-z0-9.-]+[a-z0-9]")
_PHONE = re.compile(r"(?<![0-9.])\+?1?[ -]?\(?([2-9]\d{2})\)?[ .-]?(\d{3})[ .-]?(\d{4})(?![0-9])")
# What a service that is none of ours says of itself: the fake providers know whom they reached.
OF_OTHERS = ("sandbox",)


def addresses_in_logs_and_runs(runtime: Runtime) -> dict[str, set[str]]:
    """Addresses of leads by log file or table of Dagster in which they stand."""
    with runtime.engine.connect() as connection:
        known = {
            address.lower().removeprefix("+1")
            for address in connection.execute(text("select address from ledger.contact_points")).scalars()
        }
        rows = {
            name: "\n".join(connection.execute(text(f"select t::text from dagster.{name} t")).scalars())
            for name in connection.execute(
                text("select tablename from pg_tables where schemaname = 'dagster'")
            ).scalars()
        }
    home = runtime.settings.home
    for path in [*home.glob("logs/**/*"), *home.glob("dagster/**/*"), *home.glob("dbt/**/*"), *home.glob("pg/*.log")]:
        # What dbt parsed of the project holds the invented people of its unit tests.
        if path.is_file() and not path.stem.startswith((*OF_OTHERS, "partial_parse", "manifest", "graph")):
            rows[str(path.relative_to(home))] = path.read_bytes().decode("utf-8", "replace")
    assert len(known) > 10
    return {name: found for name, told in rows.items() if (found := _addresses(told) & known)}


def places_of_secrets(runtime: Runtime) -> set[str]:
    """Where the settings' secrets stand, by the scan that decodes every file and reads every table."""
    secrets = {
        value.get_secret_value()
        for name in type(runtime.settings).model_fields
        if isinstance(value := getattr(runtime.settings, name), SecretStr)
    }
    # A word of seven letters is in any sentence.
    long_ones = tuple(sorted(each.lower() for each in secrets if len(each) >= 12))
    assert len(long_ones) >= 5
    return set(scan(runtime.engine, runtime.lake, runtime.settings, Needles(literals=long_ones)).found)


def _addresses(told: str) -> set[str]:
    lowered = told.lower()
    return {*_EMAIL.findall(lowered), *("".join(groups) for groups in _PHONE.findall(lowered))}
