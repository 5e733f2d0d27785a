"""The calls that write to Follow Up Boss, one for each kind of write.

What lives here: how each kind is said to the CRM, and finding again what may be there already. What does not: what is
to be written and what became of it (``writeback_journal``), what an error means for it (``writeback``).

Only fields that a rule gives to leadpipe are written (``conflicts``), and a stage only while the lead stands where it
stood when the write was decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadpipe.crm import conflicts
from leadpipe.errors import AmbiguousError, PermanentError, Rejected

if TYPE_CHECKING:
    from leadpipe.crm.client import FubClient

Row = dict[str, Any]
# Creates: their text carries the marker by which they are found again.
MARKED = frozenset({"note", "task"})


class Overtaken(Exception):  # noqa: N818 - the state of a write, caught where it is carried out
    """The team moved the lead after the write was decided: their word is the later one."""


def write(crm: FubClient, row: Row) -> str | None:
    """Carry out one write of the journal; returns the new record's id where there is one.

    Raises:
        Overtaken: the team moved the lead meanwhile; nothing was written.
        LeadpipeError: as the client tells it; an answer without an id is ambiguous.
    """
    person_id, payload, marker = row["person_id"], row["payload"], row["marker"]
    kind = row["kind"]
    if kind in MARKED and row["was_sending"]:
        found = _find_marked(crm, kind, person_id, marker)
        if found is not None:
            return found
    if kind == "note":
        body = f"{payload['body']}\n[leadpipe {marker}]"
        return _id_of(
            crm.post("notes", {"personId": person_id, "subject": payload.get("subject", ""), "body": body}), kind
        )
    if kind == "task":
        task = {key: value for key, value in payload.items() if value is not None}
        task |= {"personId": person_id, "name": f"{payload['name']} [leadpipe {marker}]"}
        return _id_of(crm.post("tasks", task), kind)
    if kind == "tags":
        crm.put(f"people/{person_id}", {"tags": payload["tags"]}, {"mergeTags": "true"})
    elif kind == "fields":
        foreign = [name for name in payload if conflicts.winner_of(name) is not conflicts.Winner.LEADPIPE]
        if foreign:
            raise PermanentError(f"by the rule of the field leadpipe does not write {', '.join(sorted(foreign))}")
        crm.put(f"people/{person_id}", payload)
    elif kind == "stage":
        _move(crm, person_id, payload)
    elif kind == "delete_person":
        _delete_person(crm, person_id)
    else:
        raise PermanentError(f"no way to write back a {kind}")
    return None


def _move(crm: FubClient, person_id: int, payload: Row) -> None:
    """Set a stage, unless the lead left the one in which this was decided (``from``, where it is known)."""
    decided_in = payload.get("from")
    if decided_in:
        stands_in = crm.get(f"people/{person_id}").get("stage")
        if stands_in == payload["stage"]:
            return
        if stands_in != decided_in:
            raise Overtaken
    crm.put(f"people/{person_id}", {"stage": payload["stage"]})


def _delete_person(crm: FubClient, person_id: int) -> None:
    """Delete an erased person's record; one that is gone already is what was wanted."""
    try:
        crm.delete(f"people/{person_id}")
    except Rejected as error:
        if error.code != "404":
            raise


def _id_of(answer: Row, kind: str) -> str:
    """The new record's id; an answer without one leaves open whether there is a record."""
    if not answer.get("id"):
        raise AmbiguousError(f"FUB answered a new {kind} without its id; it is looked up before a second try")
    return str(answer["id"])


def _find_marked(crm: FubClient, kind: str, person_id: int, marker: str) -> str | None:
    collection, field = ("notes", "body") if kind == "note" else ("tasks", "name")
    for page in crm.pages(collection, {"personId": person_id}):
        for row in page:
            if int(row.get("personId", -1)) == person_id and f"[leadpipe {marker}]" in str(row.get(field) or ""):
                return str(row["id"])
    return None
