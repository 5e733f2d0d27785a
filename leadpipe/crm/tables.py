"""Columns of the raw landings of Follow Up Boss in the lake.

What lives here: one Arrow schema per ``raw.fub__*`` table and how a payload becomes its typed columns. What does not:
reading one value (``values``), writing the rows (``landing``), what a record means to the ledger (``mapping``,
``inquiries``, ``human_actions``).

Grain of every table: one row per version seen of one CRM record, append-only; the current row is a staging view.
Every table ends in the same five columns: ``payload`` (the record as it came, JSON), ``content_hash``, ``is_deleted``,
``landed_by`` (webhook, poll, sweep, audit or first_touch) and ``landed_at``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from leadpipe.crm.values import MAX_INT, read_id, read_time
from leadpipe.errors import BadRecord

Row = dict[str, Any]
_AT = pa.timestamp("us", tz="UTC")
_LANDED = [
    ("payload", pa.string()),
    ("content_hash", pa.string()),
    ("is_deleted", pa.bool_()),
    ("landed_by", pa.string()),
    ("landed_at", _AT),
]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTable:
    """One raw landing: its lake name, the key column, the Arrow schema and the typing of a payload."""

    name: str
    collection: str
    key: str
    schema: pa.Schema
    typed: Callable[[Row], Row]

    @property
    def source(self) -> str:
        """Its name among the watermarks."""
        return f"fub_{self.collection}"

    def row(self, payload: Row, *, landed_by: str, landed_at: datetime, is_deleted: bool = False) -> Row:
        """A payload as a row of this table.

        Raises:
            BadRecord: no usable id, or a value that has the wrong shape; the message names the field.
        """
        try:
            typed = self.typed(payload)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadRecord(f"{self.name}: {type(error).__name__} in {self._culprit(payload)}") from None
        text = canonical(payload)
        return {
            **typed,
            "payload": text,
            "content_hash": hashlib.sha256(f"{is_deleted}{text}".encode()).hexdigest()[:32],
            "is_deleted": is_deleted,
            "landed_by": landed_by,
            "landed_at": landed_at,
        }

    def _culprit(self, payload: Row) -> str:
        """The field without which the record would be readable; its value never shows in a message."""
        if read_id(payload) is None:
            return "id"
        for name in payload:
            try:
                self.typed({key: value for key, value in payload.items() if key != name})
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                continue
            return name
        return "several fields"


def canonical(payload: Mapping[str, Any]) -> str:
    """The payload as JSON with sorted keys, so that equal content hashes equally."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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


def _person(p: Row) -> Row:
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


def _event(e: Row) -> Row:
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


def _note(n: Row) -> Row:
    return {**_activity(n, "note_id"), "subject": _text(n.get("subject")), "system_name": _text(n.get("systemName"))}


def _activity(row: Row, key: str) -> Row:
    return {
        key: _id(row),
        "person_id": _int(row.get("personId")),
        "created_by_id": _int(row.get("createdById")),
        "crm_created_at": read_time(row.get("created")),
        "crm_updated_at": read_time(row.get("updated")),
    }


def _call(c: Row) -> Row:
    return {
        **_activity(c, "call_id"),
        "user_id": _int(c.get("userId")),
        "is_incoming": bool(c.get("isIncoming")),
        "duration_seconds": _int(c.get("duration")),
        "outcome": _text(c.get("outcome")),
    }


def _text_message(t: Row) -> Row:
    return {
        **_activity(t, "text_message_id"),
        "user_id": _int(t.get("userId")),
        "is_incoming": bool(t.get("isIncoming")),
        "is_external": bool(t.get("isExternal")),
        "system_name": _text(t.get("systemName")),
        "sent_at": read_time(t.get("sent") or t.get("created")),
    }


def _task(t: Row) -> Row:
    return {
        **_activity(t, "task_id"),
        "assigned_user_id": _int(t.get("assignedUserId")),
        "name": _text(t.get("name")),
        "type": _text(t.get("type")),
        "is_completed": bool(t.get("isCompleted") or 0),
        "due_at": read_time(t.get("dueDateTime")),
        "completed_at": read_time(t.get("completed")),
    }


def _appointment(a: Row) -> Row:
    guests = [guest for guest in a.get("invitees") or [] if isinstance(guest, dict) and guest.get("personId")]
    return {
        "appointment_id": _id(a),
        "person_id": _int(guests[0]["personId"]) if guests else None,
        "crm_created_at": read_time(a.get("created")),
        "crm_updated_at": read_time(a.get("updated")),
        "starts_at": read_time(a.get("start")),
        "outcome": _text(a.get("outcome")),
    }


def _deal(d: Row) -> Row:
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


def _user(u: Row) -> Row:
    return {
        "user_id": _id(u),
        "name": _text(u.get("name")),
        "role": _text(u.get("role")),
        "status": _text(u.get("status")),
        "timezone": _text(u.get("timezone")),
        "is_owner": bool(u.get("isOwner")),
        "crm_updated_at": read_time(u.get("updated")),
    }


def _stage(s: Row) -> Row:
    return {
        "stage_id": _id(s),
        "name": _text(s.get("name")),
        "order_weight": _int(s.get("orderWeight")),
        "is_protected": bool(s.get("isProtected")),
    }


def _pipeline(p: Row) -> Row:
    return {"pipeline_id": _id(p), "name": _text(p.get("name")), "count_stages": len(p.get("stages") or [])}


def _schema(columns: Row) -> pa.Schema:
    kinds = {
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        bool: pa.bool_(),
        datetime: _AT,
        list: pa.list_(pa.string()),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()] + _LANDED)


_TEXTS = frozenset(
    "created_via first_name last_name stage type source assigned_to email phone zip city state custom message "
    "property_street property_city property_state property_zip property_mls_number subject system_name outcome name "
    "status stage_name projected_close_on role timezone".split()
)
_FLOATS = ("price_usd", "property_price_usd", "commission_usd")


def _kinds(typed: Callable[[Row], Row]) -> Row:
    """Column types by the grammar of names (``_at``, ``is_``, ``_usd``), read off an empty record."""
    names = typed({"id": 1})
    return {name: _kind(name) for name in names}


def _kind(name: str) -> type:
    if name.endswith("_at"):
        return datetime
    if name.startswith("is_"):
        return bool
    if name in _FLOATS:
        return float
    if name == "tags":
        return list
    return str if name in _TEXTS else int


def _table(name: str, collection: str, key: str, typed: Callable[[Row], Row]) -> RawTable:
    return RawTable(name=name, collection=collection, key=key, schema=_schema(_kinds(typed)), typed=typed)


PEOPLE = _table("raw.fub__people", "people", "person_id", _person)
EVENTS = _table("raw.fub__events", "events", "event_id", _event)
NOTES = _table("raw.fub__notes", "notes", "note_id", _note)
CALLS = _table("raw.fub__calls", "calls", "call_id", _call)
TEXT_MESSAGES = _table("raw.fub__text_messages", "textMessages", "text_message_id", _text_message)
TASKS = _table("raw.fub__tasks", "tasks", "task_id", _task)
APPOINTMENTS = _table("raw.fub__appointments", "appointments", "appointment_id", _appointment)
DEALS = _table("raw.fub__deals", "deals", "deal_id", _deal)
USERS = _table("raw.fub__users", "users", "user_id", _user)
STAGES = _table("raw.fub__stages", "stages", "stage_id", _stage)
PIPELINES = _table("raw.fub__pipelines", "pipelines", "pipeline_id", _pipeline)
ALL = (PEOPLE, EVENTS, NOTES, CALLS, TEXT_MESSAGES, TASKS, APPOINTMENTS, DEALS, USERS, STAGES, PIPELINES)
