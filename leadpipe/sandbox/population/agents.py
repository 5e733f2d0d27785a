"""The agents of the team: they call, write, take notes, look after tasks, make appointments and deals, by themselves.

What lives here: what a person of the team does in the CRM. What does not: leadpipe's own writes.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.fields import REDACTED_TEXT
from leadpipe.sandbox.fub.people import Person, stamp
from leadpipe.sandbox.population.past import call_by, deal_of, meeting_of, note_by

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
ACTS = ("call", "text", "email", "note", "appointment", "deal", "reassign", "reprice", "stop_stage", "unsubscribe")
# Of the tasks that leadpipe makes, so many are looked after without a reminder.
ACTS_ON_TASK = 0.75


class Agents:
    """Acts in the CRM as the agent assigned to a person."""

    def __init__(self, sandbox: Sandbox, store: FubStore) -> None:
        self._sandbox = sandbox
        self._store = store

    def act(self, what: str, person_id: int) -> bool:
        """One act for a person; False when they are gone.

        Raises:
            ValueError: no such act.
        """
        if what not in ACTS:
            raise ValueError(f"an agent cannot {what!r}; there are {', '.join(ACTS)}")
        person = self._store.people.all.get(person_id)
        if person is None:
            return False
        getattr(self, f"_{what}")(person, person.assigned_user_id or 1)
        return True

    def sees_record(self, collection: str, row: Row) -> None:
        """Leadpipe made a record: a task wakes its agent, most of the time."""
        dice = random.Random(self._sandbox.config.seed * 31 + row["id"])
        if collection != "tasks" or dice.random() >= ACTS_ON_TASK:
            return
        after = dice.uniform(8, 40) * self._sandbox.config.pace
        self._sandbox.scheduler.after(after, lambda: self._look_after(row, dice))

    def _look_after(self, task: Row, dice: random.Random) -> None:
        person = self._store.people.all.get(task["personId"])
        if person is None or task["id"] not in self._store.rows["tasks"]:
            return
        agent = person.assigned_user_id or 1
        if dice.random() < 0.6 and person.get("phones"):
            self._call(person, agent)
        else:
            self._email(person, agent)
        now = stamp(self._store.now())
        self._store.change("tasks", task, {"isCompleted": 1, "completed": now, "updatedById": agent})
        if dice.random() < 0.5:
            self._note(person, agent)
        if dice.random() < 0.4:
            self._appointment(person, agent)
            if dice.random() < 0.4:
                self._deal(person, agent)

    # acts

    def _call(self, person: Person, agent: int) -> None:
        self._store.add("calls", call_by(self._store, person, agent, is_incoming=False, seconds=120))

    def _text(self, person: Person, agent: int) -> None:
        """Their own text from their own phone, whose words the API hides."""
        now = stamp(self._store.now())
        to = next(iter(person.get("phones")), {"normalized": ""})["normalized"]
        self._store.add(
            "textMessages",
            {"createdById": agent, "updatedById": agent, "personId": person.id, "message": REDACTED_TEXT,
             "toNumber": to, "fromNumber": self._store.users[agent]["phone"], "isIncoming": False, "userId": agent,
             "status": "Sent", "isExternal": False, "systemName": None, "sent": now, "sharedInboxId": 0,
             "groupTextId": None},
        )  # fmt: skip

    def _email(self, person: Person, agent: int) -> None:
        now = stamp(self._store.now())
        self._store.add(
            "emails",
            {"createdById": agent, "personId": person.id, "userId": agent, "subject": "* Subject is hidden *",
             "body": REDACTED_TEXT, "isIncoming": False, "sent": now, "inboxThreadId": person.id,
             "systemName": None},
        )  # fmt: skip

    def _note(self, person: Person, agent: int) -> None:
        self._store.add("notes", note_by(self._store, person, agent, "Talked to them, will follow up."))

    def _appointment(self, person: Person, agent: int) -> None:
        del agent
        start = stamp(self._store.now() + timedelta(days=2))
        self._store.add("appointments", meeting_of(self._store, person, start))

    def _deal(self, person: Person, agent: int) -> None:
        now = stamp(self._store.now())
        price = person.get("price") or 350_000
        row = deal_of(self._store, person, agent, stage=("Under Contract", 102), entered=now, price=price)
        self._store.add("deals", row, is_dated=False)
        self._store.people.update(
            person,
            {"stage": "Under Contract", "dealStatus": "Active", "dealStage": "Under Contract", "dealPrice": price},
        )

    def _unsubscribe(self, person: Person, agent: int) -> None:
        """Not the agent's act but the person's: the link in a marketing mail of the CRM's own."""
        del agent
        recipient = next(iter(person.get("emails")), {"value": ""})["value"]
        body = {"type": "unsubscribe", "occurred": stamp(self._store.now()), "recipient": recipient,
                "personId": person.id, "campaignId": None, "userId": None, "url": None}  # fmt: skip
        row = self._store.add("emEvents", body, is_quiet=True)
        self._store.notify("emEventsUnsubscribed", [row["id"]], None)

    def _reassign(self, person: Person, agent: int) -> None:
        self._store.people.update(person, {"assignedUserId": 2 + (agent - 1) % 3})

    def _reprice(self, person: Person, agent: int) -> None:
        del agent
        self._store.people.update(person, {"price": int((person.get("price") or 300_000) * 1.1)})

    def _stop_stage(self, person: Person, agent: int) -> None:
        del agent
        self._store.people.update(person, {"stage": "Under Contract"})
