"""Erasing one person from a lake of millions of rows: ``python -m benchmarks erase --rows 5000000 --json``.

What lives here: the lake, and the time from the request to the proof. What does not: what an erasure does
(``leadpipe.privacy``).

Everything is timed: both scans, the files written anew, the tables, the write-ahead log. The person's rows are spread
over the tables and every table is in several files, so most files have to be written anew.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from leadpipe.runtime import Runtime
from leadpipe.settings import Settings

PERSON = 7
EMAIL = "quentin.quimby@mail.example"
# Shares of the rows, and appends: each makes a file.
SHARES = {"raw.fub__people": 0.1, "raw.fub__events": 0.3, "raw.fub__notes": 0.1, "raw.ledger__messages": 0.2,
          "raw.ledger__message_events": 0.2, "scoring.lead_scores": 0.1}  # fmt: skip
FILES = 4
LEDGER_PEOPLE = 20_000


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks erase", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the lake")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    result = measure(options.rows)
    print(json.dumps(result) if options.json else _in_words(result))
    return 0 if result["found_after"] == 0 else 1


def measure(rows: int) -> dict[str, Any]:
    """One home, one erasure."""
    from leadpipe.privacy.erase import erase
    from leadpipe.store.server import EmbeddedServer

    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-"))
    home.chmod(0o755)
    try:
        runtime = Runtime(Settings(home=home, brokerage_name="Demo Realty", _env_file=None))  # pyright: ignore[reportCallIssue]
        runtime.set_up()
        begun = time.perf_counter()
        fill(runtime, rows)
        size = sum(path.stat().st_size for path in (home / "lake").rglob("*.parquet"))
        print(f"{rows} rows, {size / 2**20:.0f} MB, made in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        begun, cpu_before = time.perf_counter(), time.process_time()
        done = erase(runtime, PERSON, reason="benchmark")
        seconds = time.perf_counter() - begun
        assert done.before is not None
        assert done.after is not None
        runtime.close()
        return {
            "rows": rows,
            "lake_mb": round(size / 2**20),
            "seconds": round(seconds, 1),
            # What this process computed, on all cores; the rest of the time it waited, for the server or for a core.
            "cpu_seconds": round(time.process_time() - cpu_before, 1),
            "steps": {name: round(value, 1) for name, value in done.seconds.items()},
            "rows_removed": sum(done.lake.values()),
            "places_before": len(done.before.found),
            "found_after": len(done.after.found),
            "not_done": done.not_done,
            "not_looked_at": done.after.not_looked_at,
            "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        }
    finally:
        EmbeddedServer(home).stop()
        shutil.rmtree(home, ignore_errors=True)


def fill(runtime: Runtime, rows: int) -> None:
    """People in the ledger, and a lake of so many rows about them, a hundred of them about one."""
    from sqlalchemy import text

    with runtime.engine.begin() as connection:
        connection.execute(text(_PEOPLE), {"count": LEDGER_PEOPLE, "email": EMAIL})
    for table, share in SHARES.items():
        for part in range(FILES):
            count = int(rows * share / FILES)
            with runtime.lake.write(table) as connection:
                connection.execute(f"insert into {table} by name {_ROWS[table]}", [part * count, (part + 1) * count])
    with runtime.lake.write("raw.fub__people") as connection:
        connection.execute(f"insert into raw.fub__people by name {_ROWS['raw.fub__people']}", [PERSON, PERSON + 1])


_PEOPLE = """
with made as (
  insert into ledger.people
    (person_id, first_name, last_name, crm_created_at, crm_updated_at, first_seen_at, refreshed_at)
  select n, case n when 7 then 'Quentin' else 'First' || n end, case n when 7 then 'Quimby' else 'Last' || n end,
    '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-01' from generate_series(1, :count) n
), points as (
  insert into ledger.contact_points (kind, address, created_at)
  select 'email', case n when 7 then :email else 'person' || n || '@mail.example' end, '2026-01-01'
  from generate_series(1, :count) n returning id
)
insert into ledger.person_contact_points (person_id, contact_point_id)
select n, n from generate_series(1, :count) n
"""
_WORDS = "'Asked about a home near ' || hash(i) || ' Oak Street, three bedrooms and a porch; prefers calls after six.'"
_WHO = f"case when i % 50000 = 7 or i = 7 then '{EMAIL}' else 'person' || i || '@mail.example' end"
_ID = "case when i % 50000 = 7 then 7 else i end"
_AT = "'2026-01-01'::timestamptz + i * interval 1 second"
_LANDED = f"md5(i::varchar) as content_hash, false as is_deleted, 'poll' as landed_by, {_AT} as landed_at"
_ROWS = {
    "raw.fub__people": f"""select {_ID} as person_id, 'First' || i as first_name, {_WHO} as email,
        '+1512555' || lpad((i % 9000)::varchar, 4, '0') as phone, 'TX' as state, {_LANDED},
        '{{"id":' || i || ',"emails":[{{"value":"' || {_WHO} || '"}}],"background":"' || {_WORDS} || {_WORDS} || '"}}'
        as payload from range(?, ?) t(i)""",
    "raw.fub__events": f"""select i as event_id, {_ID} as person_id, 'Property Inquiry' as type, {_WORDS} as message,
        {_LANDED}, '{{"id":' || i || ',"message":"' || {_WORDS} || '","from":"' || {_WHO} || '"}}' as payload
        from range(?, ?) t(i)""",
    "raw.fub__notes": f"""select i as note_id, {_ID} as person_id, {_LANDED},
        '{{"body":"' || {_WORDS} || {_WHO} || '"}}' as payload from range(?, ?) t(i)""",
    "raw.ledger__messages": f"""select uuid()::varchar as id, {_ID} as person_id, 'new_lead' as plan, 'sent' as state,
        'Hi ' || {_WHO} || ', ' || {_WORDS} as body, '{{"variables":{{"email":"' || {_WHO} || '"}}}}' as evidence,
        i as xid from range(?, ?) t(i)""",
    "raw.ledger__message_events": f"""select i as id, uuid()::varchar as message_id, 'queued' as to_state,
        'enqueue' as event, '{{}}' as detail, {_AT} as at, i as xid from range(?, ?) t(i)""",
    "scoring.lead_scores": f"""select {_ID} as person_id, 12.5 as score_pct, 'low' as priority_band,
        'Looked at many homes' as reason_1, {_AT} as scored_at from range(?, ?) t(i)""",
}


def _in_words(result: dict[str, Any]) -> str:
    steps = ", ".join(f"{name} {value} s" for name, value in result["steps"].items())
    return (
        f"one person erased from {result['rows']} rows ({result['lake_mb']} MB) in {result['seconds']} s ({steps}): "
        f"found in {result['places_before']} places before, in {result['found_after']} after"
    )


if __name__ == "__main__":
    sys.exit(main())
