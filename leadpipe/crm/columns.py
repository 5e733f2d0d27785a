"""The typed columns of each record of Follow Up Boss, as the raw tables hold them.

What lives here: one function a collection, payload -> columns by name. What does not: reading one value (``values``),
the tables and their schemas (``tables``), what a record means to the ledger (``mapping``, ``inquiries``,
``human_actions``).

A value of the wrong shape raises ``TypeError`` or ``ValueError``, a record without an id ``KeyError``; the table names
the field.
"""

from __future__ import annotations

from typing import Any

from leadpipe.crm.values import MAX_INT, canonical, read_id, read_time

Row = dict[str, Any]


def person(p: Row) -> Row:
    """A person."""
    address: Row = next(iter(p.get("addresses") or []), {}) or {}
    return {
        "person_id": _id(p),
        "crm_created_at": read_time(p.get("created")),
        "crm_updated_at": read_time(p.get("updated")),
        "created_via": _text(p.get("createdVia")),
        "first_name": _text(p.get("firstName")),
        "last_name": _text(p.get("lastName")),
        "stage": _text(p.get("stage")),
        "stage_id": _int(p.get("stageId")),
        "type": _text(p.get("type")),
        "source": _text(p.get("source")),
        "is_contacted": bool(p.get("contacted") or 0),
        "price_usd": _float(p.get("price")),
        "assigned_user_id": _int(p.get("assignedUserId")),
        "assigned_to": _text(p.get("assignedTo")),
        "tags": [str(tag) for tag in p.get("tags") or []],
        "email": _first_value(p.get("emails")),
        "phone": _first_value(p.get("phones")),
        "count_emails": len(p.get("emails") or []),
        "count_phones": len(p.get("phones") or []),
        "zip": _text(address.get("code")),
        "city": _text(address.get("city")),
        "state": _text(address.get("state")),
        "timeframe_id": _int(p.get("timeframeId")),
        "website_visits": _int(p.get("websiteVisits")),
        "properties_viewed": _int(p.get("propertiesViewed")),
        "properties_saved": _int(p.get("propertiesSaved")),
        "emails_received": _int(p.get("emailsReceived")),
        "texts_received": _int(p.get("textsReceived")),
        "calls_incoming": _int(p.get("callsIncoming")),
        "calls_outgoing": _int(p.get("callsOutgoing")),
        "last_activity_at": read_time(p.get("lastActivity")),
        "last_communication_at": read_time(p.get("lastCommunication")),
        "last_received_email_at": read_time(p.get("lastReceivedEmail")),
        "last_sent_email_at": read_time(p.get("lastSentEmail")),
        "last_received_text_at": read_time(p.get("lastReceivedText")),
        "last_sent_text_at": read_time(p.get("lastSentText")),
        "last_incoming_call_at": read_time(p.get("lastIncomingCall")),
        "last_outgoing_call_at": read_time(p.get("lastOutgoingCall")),
        "custom": canonical({key: value for key, value in p.items() if key.startswith("custom") and value is not None}),
    }


def _first_value(entries: object) -> str | None:
    """First primary, else first valid, else first entry (sheet section 9.6)."""
    rows = [entry for entry in entries or [] if isinstance(entry, dict) and entry.get("value")]  # type: ignore[union-attr]
    for entry in rows:
        if entry.get("isPrimary"):
            return str(entry["value"])
    for entry in rows:
        if str(entry.get("status", "")).lower() == "valid":
            return str(entry["value"])
    return str(rows[0]["value"]) if rows else None


def event(e: Row) -> Row:
    """An event of a lead: an inquiry, a visit and the like."""
    home: Row = e.get("property") or {}
    return {
        "event_id": _id(e),
        "person_id": _int(e.get("personId")),
        "type": _text(e.get("type")),
        "source": _text(e.get("source")),
        "message": _text(e.get("message")),
        "occurred_at": read_time(e.get("occurred") or e.get("created")),
        "crm_created_at": read_time(e.get("created")),
        "property_street": _text(home.get("street")),
        "property_city": _text(home.get("city")),
        "property_state": _text(home.get("state")),
        "property_zip": _text(home.get("code")),
        "property_price_usd": _float(home.get("price")),
        "property_mls_number": _text(home.get("mlsNumber")),
    }


def note(n: Row) -> Row:
    """A note."""
    return {**_activity(n, "note_id"), "subject": _text(n.get("subject")), "system_name": _text(n.get("systemName"))}


def _activity(row: Row, key: str) -> Row:
    return {
        key: _id(row),
        "person_id": _int(row.get("personId")),
        "created_by_id": _int(row.get("createdById")),
        "crm_created_at": read_time(row.get("created")),
        "crm_updated_at": read_time(row.get("updated")),
    }


def call(c: Row) -> Row:
    """A call."""
    return {
        **_activity(c, "call_id"),
        "user_id": _int(c.get("userId")),
        "is_incoming": bool(c.get("isIncoming")),
        "duration_seconds": _int(c.get("duration")),
        "outcome": _text(c.get("outcome")),
    }


def text_message(t: Row) -> Row:
    """A text."""
    return {
        **_activity(t, "text_message_id"),
        "user_id": _int(t.get("userId")),
        "is_incoming": bool(t.get("isIncoming")),
        "is_external": bool(t.get("isExternal")),
        "system_name": _text(t.get("systemName")),
        "sent_at": read_time(t.get("sent") or t.get("created")),
    }


def task(t: Row) -> Row:
    """A task."""
    return {
        **_activity(t, "task_id"),
        "assigned_user_id": _int(t.get("assignedUserId")),
        "name": _text(t.get("name")),
        "type": _text(t.get("type")),
        "is_completed": bool(t.get("isCompleted") or 0),
        "due_at": read_time(t.get("dueDateTime")),
        "completed_at": read_time(t.get("completed")),
    }


def appointment(a: Row) -> Row:
    """An appointment, of its first guest who is a lead."""
    guests = [guest for guest in a.get("invitees") or [] if isinstance(guest, dict) and guest.get("personId")]
    return {
        "appointment_id": _id(a),
        "person_id": _int(guests[0]["personId"]) if guests else None,
        "crm_created_at": read_time(a.get("created")),
        "crm_updated_at": read_time(a.get("updated")),
        "starts_at": read_time(a.get("start")),
        "outcome": _text(a.get("outcome")),
    }


def deal(d: Row) -> Row:
    """A deal, of its first person."""
    people = [person for person in d.get("people") or [] if isinstance(person, dict)]
    return {
        "deal_id": _id(d),
        "person_id": _int(people[0].get("id")) if people else None,
        "name": _text(d.get("name")),
        "status": _text(d.get("status")),
        "pipeline_id": _int(d.get("pipelineId")),
        "stage_id": _int(d.get("stageId")),
        "stage_name": _text(d.get("stageName")),
        "price_usd": _float(d.get("price")),
        "commission_usd": _float(d.get("commissionValue")),
        "crm_created_at": read_time(d.get("createdAt")),
        "entered_stage_at": read_time(d.get("enteredStageAt")),
        "projected_close_on": _text(d.get("projectedCloseDate")),
    }


def user(u: Row) -> Row:
    """A user of the account."""
    return {
        "user_id": _id(u),
        "name": _text(u.get("name")),
        "role": _text(u.get("role")),
        "status": _text(u.get("status")),
        "timezone": _text(u.get("timezone")),
        "is_owner": bool(u.get("isOwner")),
        "crm_updated_at": read_time(u.get("updated")),
    }


def stage(s: Row) -> Row:
    """A stage of leads."""
    return {
        "stage_id": _id(s),
        "name": _text(s.get("name")),
        "order_weight": _int(s.get("orderWeight")),
        "is_protected": bool(s.get("isProtected")),
    }


def pipeline(p: Row) -> Row:
    """A pipeline of deals."""
    return {"pipeline_id": _id(p), "name": _text(p.get("name")), "count_stages": len(p.get("stages") or [])}


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _int(value: object) -> int | None:
    if value is None or value == "":
        return None
    number = int(float(str(value))) if not isinstance(value, int) else int(value)
    if abs(number) > MAX_INT:
        raise ValueError("a number beyond 64 bits")
    return number


def _float(value: object) -> float | None:
    return None if value is None or value == "" else float(str(value))


def _id(payload: Row) -> int:
    number = read_id(payload)
    if number is None:
        raise KeyError("id")
    return number
