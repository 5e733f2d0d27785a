"""The raw landings of Follow Up Boss in the lake.

What lives here: one Arrow schema per ``raw.fub__*`` table and the row that a payload becomes. What does not: its typed
columns (``columns``), writing the rows (``landing``), what a record means to the ledger (``mapping``, ``inquiries``,
``human_actions``).

Grain of every table: one row per version seen of one CRM record, append-only; the current row is a staging view.
Every table ends in the same five columns: ``payload`` (the record as it came, JSON), ``content_hash``, ``is_deleted``,
``landed_by`` (webhook, poll, sweep, audit or first_touch) and ``landed_at``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from leadpipe.crm import columns
from leadpipe.crm.values import canonical, read_id
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


def _schema(names: Row) -> pa.Schema:
    kinds = {
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        bool: pa.bool_(),
        datetime: _AT,
        list: pa.list_(pa.string()),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in names.items()] + _LANDED)


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


PEOPLE = _table("raw.fub__people", "people", "person_id", columns.person)
EVENTS = _table("raw.fub__events", "events", "event_id", columns.event)
NOTES = _table("raw.fub__notes", "notes", "note_id", columns.note)
CALLS = _table("raw.fub__calls", "calls", "call_id", columns.call)
TEXT_MESSAGES = _table("raw.fub__text_messages", "textMessages", "text_message_id", columns.text_message)
TASKS = _table("raw.fub__tasks", "tasks", "task_id", columns.task)
APPOINTMENTS = _table("raw.fub__appointments", "appointments", "appointment_id", columns.appointment)
DEALS = _table("raw.fub__deals", "deals", "deal_id", columns.deal)
USERS = _table("raw.fub__users", "users", "user_id", columns.user)
STAGES = _table("raw.fub__stages", "stages", "stage_id", columns.stage)
PIPELINES = _table("raw.fub__pipelines", "pipelines", "pipeline_id", columns.pipeline)
ALL = (PEOPLE, EVENTS, NOTES, CALLS, TEXT_MESSAGES, TASKS, APPOINTMENTS, DEALS, USERS, STAGES, PIPELINES)
