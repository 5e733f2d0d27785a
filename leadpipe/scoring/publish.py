"""Telling Follow Up Boss, and the agent, what a score says; only when it says something else than before.

What lives here: which leads changed, the journalled fields, the alert and the agent's task. What does not: carrying the
writes out (``crm.writeback``), delivering alerts.

The CRM's budget is small (design section 10): a lead is written when its band or its first reason changed against what
was journalled last, best first, within a limit; the rest waits for the next time.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.crm.custom_fields import PRIORITY_FIELD, REASON_FIELD, SCORE_FIELD
from leadpipe.crm.writeback_journal import WriteBack, journal
from leadpipe.messaging.alerts import raise_alert
from leadpipe.scoring.score import latest_scores
from leadpipe.scoring.tables import BANDS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

# After notes and hand-offs, which answer somebody; the best leads before the others.
WRITE_PRIORITY = {"high": 60, "medium": 65, "low": 70}
# What an agent is to do today goes before what they are to know.
TASK_PRIORITY = 50
# A write that failed for good is not repeated every night.
RETRY_FAILED_AFTER = timedelta(days=7)
# A first score is news only for a lead that is new itself; else the first scoring ever would alert by the thousand.
NEW_LEAD = timedelta(days=30)

Row = dict[str, Any]

_JOURNALLED = text(
    """
    select distinct on (person_id) person_id,
      payload ->> 'customLeadpipePriority' as band, payload ->> 'customLeadpipeReason' as reason
    from ledger.writebacks
    where kind = 'fields' and payload ? 'customLeadpipePriority' and state <> 'superseded'
      and (state <> 'failed' or created_at > :retry_before)
    order by person_id, created_at desc, id desc
    """
)
# Fields of a person supersede older unsent fields of that person, so those are carried along.
_UNSENT = text(
    "select person_id, payload from ledger.writebacks "
    "where kind = 'fields' and state = 'pending' and person_id = any(cast(:ids as bigint[])) order by id for update"
)
_PEOPLE = text(
    "select person_id, assigned_user_id, crm_created_at from ledger.people "
    "where merged_into is null and deleted_at is null and person_id = any(cast(:ids as bigint[]))"
)


def journal_changed(engine: Engine, lake: Lake, settings: Settings, *, now: datetime, limit: int) -> int:
    """Journal score, reason and priority of up to ``limit`` leads whose band or first reason changed, best first.

    A lead whose band became high also raises one alert and gives its agent one task in the CRM: when it was another
    band before, or when the lead itself came within 30 days. Running it again without a new scoring journals nothing.

    Returns:
        How many leads were journalled.
    """
    scores = latest_scores(lake).drop_columns(["features"]).to_pylist()
    with engine.begin() as connection:
        known = {
            row.person_id: (row.band, row.reason)
            for row in connection.execute(_JOURNALLED, {"retry_before": now - RETRY_FAILED_AFTER})
        }
        changed = [row for row in scores if known.get(row["person_id"]) != (row["priority_band"], row["reason_1"])]
        changed.sort(key=lambda row: (BANDS.index(row["priority_band"]), -row["score_pct"], row["person_id"]))
        people = _people(connection, [row["person_id"] for row in changed])
        chosen = [row for row in changed if row["person_id"] in people][:limit]
        unsent = _unsent(connection, [row["person_id"] for row in chosen])
        count = journal(connection, [_write(row, unsent.get(row["person_id"], {})) for row in chosen], now=now)
        risen = [row for row in chosen if _is_risen(row, known.get(row["person_id"]), people, now)]
        agents = _agents(lake) if risen else {}
        today = now.astimezone(ZoneInfo(settings.team_timezone)).date()
        for row in risen:
            agent = people[row["person_id"]]["assigned_user_id"]
            _alert(connection, row, agent, agents.get(agent or 0, ""), now)
            if agent:
                journal(connection, [_task(row, agent, today)], now=now)
    return count


def _is_risen(row: Row, before: tuple[str, str] | None, people: dict[int, Row], now: datetime) -> bool:
    is_news = before[0] != "high" if before else now - people[row["person_id"]]["crm_created_at"] <= NEW_LEAD
    return row["priority_band"] == "high" and is_news


def _agents(lake: Lake) -> dict[int, str]:
    """Names of the CRM's users."""
    query = "select user_id, max_by(name, landed_at) as name from raw.fub__users group by user_id"
    return {row["user_id"]: row["name"] or "" for row in lake.query(query).to_pylist()}


def _people(connection: Connection, ids: list[int]) -> dict[int, Row]:
    rows = connection.execute(_PEOPLE, {"ids": ids}).mappings()
    return {row["person_id"]: dict(row) for row in rows}


def _unsent(connection: Connection, ids: list[int]) -> dict[int, Row]:
    found: dict[int, Row] = {}
    for person_id, payload in connection.execute(_UNSENT, {"ids": ids}):
        found[person_id] = {**found.get(person_id, {}), **payload}
    return found


def _write(row: Row, unsent: Row) -> WriteBack:
    return WriteBack(
        person_id=row["person_id"],
        kind="fields",
        marker=f"score:{row['person_id']}:{row['scored_at'].isoformat()}",
        payload=unsent
        | {
            SCORE_FIELD: round(row["score_pct"], 1),
            REASON_FIELD: row["reason_1"],
            PRIORITY_FIELD: row["priority_band"],
        },
        priority=WRITE_PRIORITY[row["priority_band"]],
    )


def _task(row: Row, agent: int, today: date) -> WriteBack:
    return WriteBack(
        person_id=row["person_id"],
        kind="task",
        marker=f"high_score:{row['person_id']}:{row['scored_at']:%Y%m%dT%H%M%S}",
        payload={
            "name": f"High priority now ({row['score_pct']:.0f}%): {row['reason_1']}",
            "type": "Follow Up",
            "assignedUserId": agent,
            "dueDate": today.isoformat(),
        },
        priority=TASK_PRIORITY,
    )


def _alert(connection: Connection, row: Row, assigned_user_id: int | None, name: str, now: datetime) -> None:
    agent = f"assigned to {name or 'user'} ({assigned_user_id})" if assigned_user_id else "assigned to nobody"
    reasons = "; ".join(reason for reason in (row["reason_1"], row["reason_2"], row["reason_3"]) if reason)
    raise_alert(
        connection,
        kind="high_score",
        dedupe_key=f"high_score:{row['person_id']}:{row['scored_at'].isoformat()}",
        title=f"Lead {row['person_id']} is now of high priority ({row['score_pct']:.0f}%)",
        body=f"Person {row['person_id']}, {agent}. {reasons}. Model {row['model_version']}.",
        now=now,
        person_id=row["person_id"],
    )
