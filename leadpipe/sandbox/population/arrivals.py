"""How people come: the past all at once, the new ones one by one, and what they do without being asked.

What lives here: arrivals, second inquiries, browsing, merges. What does not: who they are (``cast``), what happened
before (``past``), what they answer (``crowd``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.homes import homes_in
from leadpipe.sandbox.population.cast import Cast, Draft
from leadpipe.sandbox.population.lead import Lead
from leadpipe.sandbox.population.past import live_through

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.population.agents import Agents
    from leadpipe.sandbox.population.crowd import Crowd
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
KINDS = {
    "Property Inquiry": 45,
    "Registration": 20,
    "Seller Inquiry": 12,
    "General Inquiry": 13,
    "Visited Open House": 10,
}
# While the past is loaded, others get a turn after so many people.
CHUNK = 200
# Shares of arrivals.
LIVE_TRANSFER, SECOND_INQUIRY, BROWSES, OLD_FRIENDS, AGENT_STEPS_IN, TWICE = 0.04, 0.07, 0.3, 0.03, 0.05, 0.006


class Arrivals:
    """Brings people into the CRM and into the crowd."""

    def __init__(self, sandbox: Sandbox, store: FubStore, agents: Agents, crowd: Crowd) -> None:
        self._sandbox = sandbox
        self._store = store
        self._agents = agents
        self._crowd = crowd
        self._cast = Cast(sandbox.config.seed)
        self._dice = random.Random(sandbox.config.seed)

    async def start(self, *, new: int = 0, aged: int = 0, seconds: float = 60.0, per_second: float = 0.0) -> Row:
        """Load ``aged`` people of the past, then let ``new`` ones arrive over ``seconds`` of wall time.

        ``per_second`` is another way to give the window. The last one arrives before it ends.
        """
        for number in range(aged):
            self._add_aged()
            if number % CHUNK == CHUNK - 1:
                await asyncio.sleep(0)
        window = new / per_second if per_second else seconds
        for number in range(new):
            self._sandbox.scheduler.after(window * (number + self._dice.random()) / max(1, new), self._arrive)
        for _ in range(int(new * OLD_FRIENDS)):
            self._sandbox.scheduler.after(window * self._dice.random(), self._old_friend)
        return {"people": len(self._store.people.all), "arriving": new, "over_seconds": window}

    def _add_aged(self) -> None:
        draft = self._cast.draw(self._sandbox.started_at)
        if self._crowd.leads and draft.dice.random() < 0.01:
            # Two records of one person: same address, another name; nobody merged them.
            other = self._crowd.leads[draft.dice.choice(range(10_001, 10_001 + len(self._crowd.leads)))]
            if other.emails and not other.emails[0].endswith("zillow.com"):
                draft.emails = other.emails[:1]
                draft.fields["emails"] = [{"value": value} for value in draft.emails]
        person = live_through(self._store, draft, started_at=self._sandbox.started_at)
        self._crowd.remember(draft, person.id, datetime.fromisoformat(person.shown["created"]), is_new=False)

    def _arrive(self) -> None:
        now, wall = self._sandbox.now(), self._sandbox.wall()
        draft = self._cast.draw(now)
        dice = draft.dice
        body = self._inquiry(draft)
        person, is_new = self._store.add_event(body, at=now)
        if not is_new:
            return
        self._crowd.count_arrived += 1
        lead = self._crowd.remember(draft, person.id, now, is_new=True, wall_at=wall)
        roll = dice.random()
        if roll < LIVE_TRANSFER:
            self._live_transfer(lead)
        elif roll < LIVE_TRANSFER + SECOND_INQUIRY:
            self._later(0.8, lambda: self._ask_again(body, lead, dice.random() < 0.3))
        elif roll < LIVE_TRANSFER + SECOND_INQUIRY + AGENT_STEPS_IN:
            what = dice.choice(("text", "call", "email", "note", "reassign", "reprice", "stop_stage"))
            self._later(dice.uniform(15, 60), lambda: self._steps_in(lead, what))
        elif roll < LIVE_TRANSFER + SECOND_INQUIRY + AGENT_STEPS_IN + TWICE and lead.phones:
            self._later(dice.uniform(3, 8), lambda: self._comes_twice(draft, lead))
        if dice.random() < BROWSES:
            kind = dice.choice(("Viewed Property", "Viewed Property", "Saved Property", "Visited Website"))
            self._later(dice.uniform(3, 20), lambda: self._browse(lead, draft, kind))

    def _inquiry(self, draft: Draft) -> Row:
        """What a portal posts about them (FUB sheet 5)."""
        dice = draft.dice
        kind = dice.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        body: Row = {"source": draft.fields["source"], "system": "portal", "type": kind, "person": draft.fields,
                     "message": "I would like to know more." if kind != "Registration" else ""}  # fmt: skip
        if kind in {"Property Inquiry", "Visited Open House"}:
            body["property"] = self._home(draft)
        return body

    def _home(self, draft: Draft) -> Row:
        home = draft.dice.choice(homes_in(draft.place.zip, self._sandbox.now()))
        return {
            "street": home["UnparsedAddress"], "city": draft.place.city, "state": draft.place.state,
            "code": draft.place.zip, "price": home["ListPrice"], "mlsNumber": home["ListingId"],
            "bedrooms": home["BedroomsTotal"], "type": "Residential", "url": f"https://homes.example/{home['ListingId']}",
        }  # fmt: skip

    def _later(self, seconds: float, job: Callable[[], object]) -> None:
        def run() -> None:
            job()

        self._sandbox.scheduler.after(seconds * self._sandbox.config.pace, run)

    # what they do without being asked

    def _live_transfer(self, lead: Lead) -> None:
        """The agent has talked to them before we could write (zillow sheet 5)."""
        lead.state, lead.is_contactable = "agent_called", False
        self._agents.act("call", lead.person_id)

    def _steps_in(self, lead: Lead, what: str) -> None:
        """An agent acts on a lead of a minute; one who was not written to yet must not be any more."""
        if lead.count_received == 0 and what not in {"reassign", "reprice"}:
            lead.state, lead.is_contactable = "agent_called", False
        self._agents.act(what, lead.person_id)

    def _ask_again(self, body: Row, lead: Lead, has_home: bool) -> None:
        """The second inquiry that follows the real one within a second, mostly without a property."""
        more = body if has_home else {**body, "type": "General Inquiry", "property": None}
        self._store.add_event({**more, "person": {"id": lead.person_id}})

    def _browse(self, lead: Lead, draft: Draft, kind: str) -> None:
        home = None if kind == "Visited Website" else self._home(draft)
        self._store.add_event(
            {"source": "demo-realty.example", "type": kind, "property": home, "person": {"id": lead.person_id}}
        )

    def _old_friend(self) -> None:
        """Somebody of the past asks again; that is answered like a new lead."""
        aged = [
            lead for lead in self._crowd.leads.values() if not lead.is_new and lead.emails and lead.opted_out_at is None
        ]
        if not aged:
            return
        lead = self._dice.choice(aged)
        lead.inquired_again_at = self._sandbox.now()
        body = {"source": "Zillow", "type": "General Inquiry", "message": "Back in the market, what is new?",
                "person": {"id": lead.person_id}}  # fmt: skip
        self._store.add_event(body)

    def _comes_twice(self, draft: Draft, lead: Lead) -> None:
        """The same person under another address; a while later an agent merges the two records."""
        email = f"also.{lead.serial}@example.com"
        fields = {**draft.fields, "emails": [{"value": email}], "phones": []}
        person = self._store.people.create(fields)
        twin = Lead(
            person_id=person.id, serial=lead.serial, created_at=self._sandbox.now(), is_new=False, emails=[email],
            created_wall_at=self._sandbox.wall(), phones=[], name=lead.name, is_contactable=True,
        )  # fmt: skip
        self._crowd.add(twin)

        def merge() -> None:
            if person.id in self._store.people.all and lead.person_id in self._store.people.all:
                self._store.merge(lead.person_id, [person.id])
                twin.state = "merged"

        self._later(45, merge)
