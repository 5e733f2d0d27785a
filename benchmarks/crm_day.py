"""A day of the team's own work in the CRM, and whether leadpipe's copy equals the CRM at its end.

What lives here: what the team does by hand, and the comparison row by row and column by column. What does not: the
system that keeps up with it (``drift``; the suite's small day has its own).

Everything is done through the CRM's own API and pages, never through leadpipe. Of a deletion or a merge the records
that go with it are part of the truth.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa

from leadpipe.crm import tables
from leadpipe.crm.tables import RawTable
from leadpipe.crm.values import canonical, read_id

if TYPE_CHECKING:
    from leadpipe.sandbox.control import SandboxControl
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
# What leadpipe adds to a record, and no side of the comparison.
OURS = frozenset({"content_hash", "is_deleted", "landed_by", "landed_at"})
STAGES = ("Lead", "Contacted", "Nurture", "Hot Prospect", "Under Contract", "Trash")
TAGS = ("Buyer", "Investor", "Pre-approved", "VIP", "Cold")


@dataclass
class Team:
    """The team at work; every act is counted by its name.

    Attributes:
        http: a client that signs as the account's owner and, as the CRM's own pages, names no system.
        base: the CRM's address up to ``/v1``.
        control: for what only the CRM's own pages can do.
    """

    http: httpx.Client
    base: str
    control: SandboxControl
    dice: random.Random
    now: Callable[[], datetime]
    acts: Counter[str] = field(default_factory=Counter[str])

    def work(self, count: int) -> None:
        """So many acts, of every kind, on people and records of any age."""
        kinds: Sequence[tuple[int, Callable[[], bool]]] = (
            (12, self.rename), (10, self.reprice), (10, self.move), (8, self.tag), (8, self.reassign),
            (6, self.readdress), (8, self.call), (6, self.text), (4, self.email), (8, self.write_note),
            (5, self.edit_note), (4, self.delete_note), (6, self.make_task), (5, self.complete_task),
            (3, self.delete_task), (4, self.meet), (3, self.move_meeting), (2, self.cancel_meeting), (3, self.deal),
            (2, self.lose_deal), (5, self.delete_person), (6, self.merge), (2, self.inquire_again),
        )  # fmt: skip
        weights = [weight for weight, _ in kinds]
        done = 0
        while done < count:
            act = self.dice.choices([act for _, act in kinds], weights)[0]
            if act():
                self.acts[act.__name__] += 1
                done += 1

    def all_kinds(self) -> None:
        """Every kind of act once, those first that make what others change."""
        for act in (
            self.write_note, self.write_note, self.make_task, self.make_task, self.meet, self.meet, self.deal,
            self.call, self.text, self.email, self.rename, self.reprice, self.move, self.tag, self.reassign,
            self.readdress, self.edit_note, self.delete_note, self.complete_task, self.delete_task, self.move_meeting,
            self.cancel_meeting, self.lose_deal, self.inquire_again, self.merge, self.delete_person,
        ):  # fmt: skip
            for _ in range(20):
                if act():
                    self.acts[act.__name__] += 1
                    break

    # people

    def rename(self) -> bool:
        """A name is corrected."""
        return self._change(firstName=self.dice.choice(("Ana", "Ben", "Chloe", "Dev", "Eva")))

    def reprice(self) -> bool:
        """What they can pay."""
        return self._change(price=self.dice.randrange(150, 900) * 1000)

    def move(self) -> bool:
        """Another stage; now and then into Trash, or back out."""
        return self._change(stage=self.dice.choices(STAGES, (30, 20, 20, 10, 10, 10))[0])

    def tag(self) -> bool:
        """Tags are replaced, as the CRM's own PUT does."""
        return self._change(tags=self.dice.sample(TAGS, 2))

    def reassign(self) -> bool:
        """Another agent."""
        return self._change(assignedUserId=self.dice.choice((2, 3, 4)))

    def readdress(self) -> bool:
        """Another email address."""
        return self._change(emails=[{"value": f"moved{self.dice.randrange(10**9)}@example.com"}])

    def delete_person(self) -> bool:
        """Gone for good, with all that belongs to them."""
        person = self._person()
        return person is not None and self._call("DELETE", f"people/{person['id']}") is not None

    def merge(self) -> bool:
        """Two people become one; the loser's records move and nothing says so."""
        one, other = self._person(), self._person()
        if one is None or other is None or one["id"] == other["id"] or "Trash" in (one["stage"], other["stage"]):
            return False
        self.control.merge(one["id"], [other["id"]])
        return True

    def inquire_again(self) -> bool:
        """A portal posts another inquiry of somebody we know."""
        person = self._person()
        body = {"source": "Zillow", "type": "Property Inquiry", "message": "Is it open?"}
        return person is not None and self._call("POST", "events", {**body, "person": {"id": person["id"]}}) is not None

    # what hangs on them

    def call(self) -> bool:
        """An agent calls."""
        return self._act("call")

    def text(self) -> bool:
        """An agent texts from their own phone."""
        return self._act("text")

    def email(self) -> bool:
        """An agent writes a mail."""
        return self._act("email")

    def write_note(self) -> bool:
        """A note."""
        return self._add("notes", body="Talked to them.")

    def edit_note(self) -> bool:
        """A note is corrected."""
        return self._edit("notes", body=f"Talked to them, {self.dice.randrange(10**6)}.")

    def delete_note(self) -> bool:
        """A note is deleted."""
        return self._drop("notes")

    def make_task(self) -> bool:
        """A task."""
        return self._add("tasks", name="Call back", type="Call", assignedUserId=2)

    def complete_task(self) -> bool:
        """A task is done."""
        return self._edit("tasks", isCompleted=True)

    def delete_task(self) -> bool:
        """A task is deleted."""
        return self._drop("tasks")

    def meet(self) -> bool:
        """An appointment."""
        return self._act("appointment")

    def move_meeting(self) -> bool:
        """An appointment is moved."""
        start = (self.now() + timedelta(days=self.dice.randrange(1, 9))).strftime("%Y-%m-%dT%H:00:00Z")
        return self._edit("appointments", title="Showing, moved", start=start, end=start)

    def cancel_meeting(self) -> bool:
        """An appointment is cancelled."""
        return self._drop("appointments")

    def deal(self) -> bool:
        """A deal begins."""
        person = self._person()
        body = {"name": "A deal", "stageId": 101, "price": 400_000, "userIds": [2]}
        return person is not None and self._call("POST", "deals", {**body, "peopleIds": [person["id"]]}) is not None

    def lose_deal(self) -> bool:
        """A deal is deleted, which only changes its status."""
        return self._drop("deals")

    # the CRM

    def _change(self, **fields: Any) -> bool:
        person = self._person()
        return person is not None and self._call("PUT", f"people/{person['id']}", fields) is not None

    def _act(self, what: str) -> bool:
        person = self._person()
        return person is not None and self.control.act(what, person["id"])

    def _add(self, collection: str, **fields: Any) -> bool:
        person = self._person()
        return person is not None and self._call("POST", collection, {"personId": person["id"], **fields}) is not None

    def _edit(self, collection: str, **fields: Any) -> bool:
        row = self._one(collection)
        return row is not None and self._call("PUT", f"{collection}/{row['id']}", fields) is not None

    def _drop(self, collection: str) -> bool:
        row = self._one(collection)
        return row is not None and self._call("DELETE", f"{collection}/{row['id']}") is not None

    def _person(self) -> Row | None:
        """Somebody: the newest as likely as somebody of long ago."""
        newest = self._list("people", limit=1)
        if not newest:
            return None
        number = self.dice.randrange(10_001, int(newest[0]["id"]) + 1)
        below = number if self.dice.random() < 0.5 else int(newest[0]["id"]) + 1
        rows = self._list("people", limit=20, idLessThan=below)
        return self.dice.choice(rows) if rows else None

    def _one(self, collection: str) -> Row | None:
        rows = self._list(collection, limit=100)
        return self.dice.choice(rows) if rows else None

    def _list(self, collection: str, **query: Any) -> list[Row]:
        found = self._call("GET", collection, query=query) or {}
        return next((rows for name, rows in found.items() if name != "_metadata"), [])

    def _call(self, method: str, path: str, body: Any = None, query: Any = None) -> Row | None:
        """The answer; None when the CRM refuses, e.g. because the record has just gone."""
        answer = self.http.request(method, f"{self.base}/{path}", json=body, params=query)
        if answer.status_code in {400, 404}:
            return None
        answer.raise_for_status()
        return answer.json() if answer.content else {}


def unequal(crm: Mapping[str, Sequence[Row]], lake: Lake) -> dict[str, dict[str, int]]:
    """Where the raw tables' current rows are not the CRM's, by table: rows lacking, rows too many, and by column.

    Every column is compared that a record fills, the payload among them; a table that is equal is not there.
    """
    return {table.name: found for table in tables.ALL if (found := _unequal(table, crm[table.collection], lake))}


def _unequal(table: RawTable, rows: Sequence[Row], lake: Lake) -> dict[str, int]:
    wanted = _by_id(table, _as_table(table, rows))
    ours = _current(table, lake) if lake.has_table(table.name) else {}
    found: Counter[str] = Counter()
    found["rows lacking"] = len(wanted.keys() - ours.keys())
    found["rows too many"] = len(ours.keys() - wanted.keys())
    for key in wanted.keys() & ours.keys():
        found.update(name for name in table.schema.names if name not in OURS and wanted[key][name] != ours[key][name])
    return dict(+found)


def _current(table: RawTable, lake: Lake) -> dict[int, Row]:
    """The newest version of each record, as the staging views take it."""
    rows = lake.query(
        f"select * from {table.name} qualify row_number() over "  # noqa: S608 - our own names
        f"(partition by {table.key} order by landed_at desc) = 1"
    )
    return {key: row for key, row in _by_id(table, rows).items() if not row["is_deleted"]}


def _as_table(table: RawTable, rows: Sequence[Row]) -> pa.Table:
    typed = [
        {**table.typed(row), "payload": canonical(row)}
        for row in rows
        if read_id(row) is not None
    ]  # fmt: skip
    schema = pa.schema([each for each in table.schema if each.name not in OURS])
    return pa.Table.from_pylist(typed, schema=schema)


def _by_id(table: RawTable, rows: pa.Table) -> dict[int, Row]:
    return {row[table.key]: row for row in rows.to_pylist()}
