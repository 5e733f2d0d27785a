"""New records as the API writes them for a caller: one shape for each kind.

What lives here: FUB sheet 7 and 7.1, row by row. What does not: requests (``records_api``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadpipe.sandbox.fub.answers import Call, Refused
from leadpipe.sandbox.fub.fields import CALL_OUTCOMES, TASK_TYPES, Row
from leadpipe.sandbox.fub.people import stamp

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.store import FubStore


def new_row(store: FubStore, call: Call, system: str | None) -> Row:
    """A new record of each kind, as the API writes it for a caller."""
    body, user = call.body, store.users[call.caller.user_id]
    by: Row = {"createdById": user["id"], "updatedById": user["id"], "createdBy": user["name"],
               "updatedBy": user["name"]}  # fmt: skip
    if call.collection == "notes":
        return by | {"showContent": True, "subject": "", "type": "", "isHtml": False, "actionPlanId": None,
                     "isExternal": system is not None, "systemId": 1 if system else None, "automationId": None,
                     "systemName": system, **body}  # fmt: skip
    if call.collection == "textMessages":
        return by | {"status": "Sent", "isExternal": True, "systemName": system, "userId": user["id"],
                     "sent": stamp(store.now()), "sharedInboxId": 0, "groupTextId": None,
                     **body, "isIncoming": bool(body.get("isIncoming"))}  # fmt: skip
    if call.collection == "calls":
        if body.get("outcome") is not None and body["outcome"] not in CALL_OUTCOMES:
            raise Refused(400, "Invalid value for 'outcome' field.")
        return by | call_row(store, body, user) | {"systemId": 1 if system else None, "systemName": system}
    if call.collection == "tasks":
        return by | _task(store, body)
    if call.collection == "deals":
        return _deal(store, body)
    if call.collection == "actionPlansPeople":
        return by | {"status": "Running", **body}
    return by | {"timezone": "US/Central", "allDay": False, "originFub": True, "description": "", "location": "",
                 "invitees": [], "typeId": None, "outcomeId": None, "type": None, "outcome": None,
                 "isEditable": True, "detailsVisible": True, "isDeletable": True, **body}  # fmt: skip


def _task(store: FubStore, body: Row) -> Row:
    if body.get("type", "Follow Up") not in TASK_TYPES:
        raise Refused(400, "Invalid value for 'type' field.")
    user = store.users.get(int(body.get("assignedUserId") or 0))
    name = user["name"] if user else body.get("assignedTo")
    return {
        "type": "Follow Up", "dueDate": None, "dueDateTime": None, "externalTaskLink": None,
        "externalCalendarId": None, "remindSecondsBefore": None, "completed": None,
        **{key: value for key, value in body.items() if key != "assignedTo"}, "AssignedTo": name,
        "isCompleted": int(bool(body.get("isCompleted"))),
    }  # fmt: skip


def _deal(store: FubStore, body: Row) -> Row:
    stages = {s["id"]: (p, s) for p in store.pipelines.values() for s in p["stages"]}
    if int(body["stageId"]) not in stages:
        raise Refused(400, "Invalid value for 'stageId' field.")
    pipeline, stage = stages[int(body["stageId"])]
    people = [p for n in body.get("peopleIds") or () if (p := store.people.all.get(int(n))) is not None]
    users = [u for n in body.get("userIds") or () if (u := store.users.get(int(n))) is not None]
    kept = {key: value for key, value in body.items() if key not in {"peopleIds", "userIds"}}
    return {
        "type": 0, "status": "Active", "price": None, "orderWeight": 1000, "description": "",
        "projectedCloseDate": None, "pipelineId": pipeline["id"], "pipelineName": pipeline["name"],
        "stageName": stage["name"], "enteredStageAt": stamp(store.now()), "commissionValue": None,
        "agentCommission": None, "teamCommission": None, "timeToClose": None, **kept,
        "people": [{"id": p.id, "name": p.get("name"), "avatar": None} for p in people],
        "users": [{"id": u["id"], "name": u["name"], "picture": None} for u in users],
    }  # fmt: skip


def call_row(store: FubStore, body: Row, user: Row) -> Row:
    """A call as it is read; an agent's own calls have the same shape."""
    person = store.people.all.get(int(body.get("personId") or 0))
    digits = "".join(filter(str.isdigit, str(body.get("phone") or "")))[-10:]
    return {
        "relationshipId": 0, "name": person.get("name") if person else "",
        "firstName": person.get("firstName") if person else "", "lastName": person.get("lastName") if person else "",
        "userId": user["id"], "userName": user["name"], "fromNumber": "", "toNumber": digits, "forwardNumber": None,
        "note": None, "outcome": None, "duration": 0, "recordingUrl": "", "sharedInboxId": 0, "conferenceCallId": None,
        "systemId": None, "ringDuration": None, "startedAt": None, **body,
        "phone": digits, "isIncoming": bool(body.get("isIncoming")),
    }  # fmt: skip
