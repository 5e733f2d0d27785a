"""Follow Up Boss's own action plans that run for people we write to.

What lives here: counting and telling. What does not: stopping one; that is the team's decision. Two machines writing to
one person is the thing to avoid (FUB sheet 7: an action plan sends real emails and texts).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.messaging.alerts import raise_alert

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient

MAX_PAGES = 50
_WITH_US = text(
    "select count(distinct person_id) from ledger.enrolments "
    "where person_id = any(cast(:ids as bigint[])) and state = 'open'"
)


def report_running(crm: FubClient, engine: Engine, *, now: datetime) -> int:
    """People inside a running action plan and a plan of ours at once; above zero a person is told, once a day.

    Raises:
        TransientError: the list could not be read.
    """
    running: set[int] = set()
    for number, page in enumerate(crm.pages("actionPlansPeople", {"status": "Running"})):
        running |= {
            int(row["personId"])
            for row in page
            if row.get("status") == "Running" and str(row.get("personId") or "").isdigit()
        }
        if number + 1 >= MAX_PAGES:
            break
    if not running:
        return 0
    with engine.begin() as connection:
        count = int(connection.execute(_WITH_US, {"ids": sorted(running)}).scalar_one())
        if count:
            raise_alert(
                connection,
                kind="action_plans_running",
                dedupe_key=f"action_plans_running:{now:%Y-%m-%d}",
                title="Follow Up Boss writes to the same leads",
                body=f"{count} leads are in a running action plan of Follow Up Boss and in a plan of leadpipe: they "
                f"hear from both. Pause the action plans, or end ours with `leadpipe conversation pause`.",
                now=now,
            )
        return count
