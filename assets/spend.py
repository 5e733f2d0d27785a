"""What lead sources cost, as the team writes it down.

What lives here: one table. What does not: reading the file (``leadpipe.store.spend``).
"""

import dagster as dg

from leadpipe.errors import PermanentError
from resources.runtime import LeadpipeResource


@dg.asset(key=["raw", "spend"], group_name="raw_spend", owners=["team:operations"], kinds={"csv", "duckdb"})
def spend(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Spend in dollars from the team's own CSV. One row per line: month, source."""
    from leadpipe.store import quarantine
    from leadpipe.store.spend import load_spend

    runtime = leadpipe.runtime
    path = runtime.settings.spend_csv
    if path is None:
        return dg.MaterializeResult(metadata={"skipped": "LEADPIPE_SPEND_CSV is not set"})
    try:
        done = load_spend(runtime.lake, path)
    except PermanentError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    with runtime.engine.begin() as connection:
        quarantine.store(connection, done.set_aside, now=runtime.clock.now())
    return dg.MaterializeResult(metadata=done.as_metadata())
