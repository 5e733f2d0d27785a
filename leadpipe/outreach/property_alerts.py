"""New homes on the market as one email a person, a week apart.

What lives here: who is told of which homes, and the intents. What does not: matching (``market.matches``), sending.

A match that cannot go now (another message is under way, automation is paused, the last alert is younger than the
plan's ``again_after``) is not lost: homes stay news for as long as that span, so the next run takes them up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.market.matches import new_matches
from leadpipe.outreach import enrol
from leadpipe.outreach.advance import LISTINGS_FRESH_FOR
from leadpipe.outreach.facts import Known, know, people
from leadpipe.outreach.history import read_history
from leadpipe.outreach.intents import intent_for
from leadpipe.outreach.nightly import Entry, Night, Refusal, enter, ruled_out
from leadpipe.outreach.plan import load_plans
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import listing_variables, variables_for
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.messaging.intent import Intent
    from leadpipe.outreach.facts import PersonRow
    from leadpipe.outreach.history import History
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

TRIGGER = "new_listing"
# Homes that landed while the former alert was on its way are looked at again; those it named are left out.
SLACK = timedelta(days=1)

_TOLD = text(
    """
    select person_id, array_agg(distinct home ->> 'listing_key')
    from ledger.enrolments, jsonb_array_elements(context -> 'listings') home
    where plan = :plan and opened_at > :since and person_id = any(cast(:ids as bigint[]))
      and jsonb_typeof(context -> 'listings') = 'array'
    group by person_id
    """
)


def plan_property_alerts(engine: Engine, lake: Lake, *, settings: Settings, clock: Clock) -> list[Intent]:
    """Open a passage for each person with new homes that fit, and return the emails; the caller enqueues them.

    At most one email a person within the plan's ``again_after`` (7 days as built in), no home twice. Who is in a stop
    stage, paused, gone, has refused or has no address of their own gets none. Safe to call again: a passage whose
    email was not stored is taken up by ``advance`` with the same homes while they are fresh.
    """
    now = clock.now()
    plans = load_plans(settings.plans_path)
    wanted = sorted(
        (plan for plan in plans.values() if plan.trigger == TRIGGER and not plan.is_paused), key=lambda p: p.priority
    )
    intents: list[Intent] = []
    for plan in wanted:
        again_after = plan.occurrences.again_after.span
        homes = new_matches(engine, lake, now=now, since=now - again_after - SLACK)
        if homes:
            with engine.begin() as connection:
                intents += _Desk(connection, plan, plans, settings, now).alerts(homes)
    return intents


class _Desk:
    """Alerts of one plan, in one transaction."""

    def __init__(
        self, connection: Connection, plan: Plan, plans: Mapping[str, Plan], settings: Settings, now: datetime
    ) -> None:
        self._connection, self._plan, self._settings, self._now = connection, plan, settings, now
        # Listings interest whoever named a place, aged or not.
        self._night = Night(now=now, aged_before=now, stop_stages=frozenset(settings.stop_stages), plans=plans)
        self._points_taken: set[int] = set()

    def alerts(self, homes: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[Intent]:
        """The intents of everyone who may be told now."""
        rows = people(self._connection, homes, now=self._now)
        history = read_history(self._connection, rows.values(), [self._plan])
        told = self._told(list(rows))
        found: dict[int, tuple[Known, Entry, list[dict[str, Any]]]] = {}
        for person_id, row in sorted(rows.items()):
            fresh = [listing_variables(home) for home in homes[person_id] if home["listing_key"] not in told[person_id]]
            known = know(row)
            entry = self._entry(row, known, history) if fresh else None
            if entry is not None and entry.contact_point_id not in self._points_taken:
                self._points_taken.add(entry.contact_point_id)
                found[person_id] = (known, entry, fresh)
        opened = enrol.open_passages(
            self._connection, [self._passage(entry, person, fresh) for person, (_, entry, fresh) in found.items()],
            now=self._now,
        )  # fmt: skip
        made = [
            self._intent(known, entry, fresh, opened[person_id, self._plan.name])
            for person_id, (known, entry, fresh) in found.items()
            if (person_id, self._plan.name) in opened
        ]
        return [intent for intent in made if intent is not None]

    def _told(self, ids: list[int]) -> dict[int, set[str]]:
        """Keys of the homes that earlier alerts named."""
        since = self._now - 2 * (self._plan.occurrences.again_after.span + SLACK)
        rows = self._connection.execute(_TOLD, {"plan": self._plan.name, "since": since, "ids": ids})
        named = {person_id: set(keys) for person_id, keys in rows}
        return {person_id: named.get(person_id, set()) for person_id in ids}

    def _entry(self, row: PersonRow, known: Known, history: History) -> Entry | None:
        zone = zone_of(row, self._settings.team_timezone)
        if ruled_out(self._plan, row, history, self._night, zone) is not None:
            return None
        found = enter(self._plan, known, history, self._night, zone)
        return None if isinstance(found, Refusal) else found

    def _passage(self, entry: Entry, person_id: int, fresh: list[dict[str, Any]]) -> enrol.Entry:
        return enrol.Entry(
            person_id=person_id,
            plan=self._plan.name,
            plan_version=self._plan.version,
            occurrence=entry.occurrence,
            step=entry.step.id,
            due_at=entry.due_at,
            reason=TRIGGER,
            context={"listings": fresh},
        )

    def _intent(self, known: Known, entry: Entry, fresh: list[dict[str, Any]], enrolment_id: int) -> Intent | None:
        due_at = entry.due_at + spread(known.row.person_id, entry.step.spread_minutes)
        return intent_for(
            known,
            self._plan,
            entry.step,
            occurrence=entry.occurrence,
            enrolment_id=enrolment_id,
            variables=variables_for(known, self._settings, now=self._now, listings=fresh),
            due_at=due_at,
            expires_at=self._now + LISTINGS_FRESH_FOR,
            evidence={"listing_keys": [home["listing_key"] for home in fresh]},
        )
