"""A lake with raw rows written straight into it, and a synthetic history that can be learned from."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from leadpipe.store.bootstrap import create_tables, schemas

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
Learnable = Callable[..., None]


class History:
    """Rows by table, appended in one go."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._schemas = schemas()
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._serial = 0

    def add(self, table: str, **row: Any) -> None:
        """One row; missing columns are null, ids and transaction ids count up."""
        self._serial += 1
        schema = self._schemas[table]
        filled = {"xid": self._serial, "id": self._serial, "is_deleted": False} | row
        if table == "raw.ledger__messages":
            filled["id"] = str(filled["id"])
        self._rows.setdefault(table, []).append({name: filled.get(name) for name in schema.names})

    def person(self, person_id: int, created_at: datetime, *, landed_at: datetime | None = None, **crm: Any) -> None:
        """A person in the mirror and one version of them in the CRM's landing."""
        self.add("raw.ledger__people", person_id=person_id, crm_created_at=created_at, first_name="Ana",
                 first_seen_at=created_at, refreshed_at=created_at, crm_updated_at=created_at)  # fmt: skip
        self.version(person_id, landed_at or created_at, **({"source": "Zillow", "type": "Buyer"} | crm))

    def version(self, person_id: int, landed_at: datetime, **crm: Any) -> None:
        """Another version of a person as the CRM showed it."""
        self.add("raw.fub__people", person_id=person_id, landed_at=landed_at, **crm)

    def event(self, person_id: int, at: datetime, kind: str = "Property Inquiry", **more: Any) -> None:
        """An event of the CRM."""
        self.add("raw.fub__events", event_id=self._serial + 10_000, person_id=person_id, occurred_at=at, type=kind,
                 payload="{}", landed_at=at, **more)  # fmt: skip

    def reply(self, person_id: int, at: datetime) -> None:
        """The lead wrote to us."""
        self.add("raw.ledger__inbound_messages", person_id=person_id, received_at=at, is_auto_reply=False)

    def said(self, person_id: int, at: datetime, key: str, value: str) -> None:
        """An answer to a question."""
        self.add("raw.ledger__qualifications", person_id=person_id, at=at, key=key, value=value, sentence="")

    def appointment(self, person_id: int, at: datetime) -> None:
        """An appointment entered at ``at``."""
        payload = json.dumps({"invitees": [{"userId": 2}, {"personId": person_id}]})
        self.add("raw.fub__appointments", appointment_id=self._serial, person_id=person_id, crm_created_at=at,
                 starts_at=at + timedelta(days=2), payload=payload, landed_at=at)  # fmt: skip

    def deal(self, person_id: int, at: datetime, status: str = "Active") -> None:
        """A deal entered at ``at``."""
        self.add("raw.fub__deals", deal_id=self._serial, person_id=person_id, crm_created_at=at, status=status,
                 payload=json.dumps({"people": [{"id": person_id}]}), landed_at=at)  # fmt: skip

    def flush(self) -> None:
        """Write everything added since the last time."""
        for table, rows in self._rows.items():
            self.lake.append(table, pa.Table.from_pylist(rows, schema=self._schemas[table]))
        self._rows = {}


@pytest.fixture
def history(lake: Lake) -> History:
    """An empty lake with all tables, to be filled."""
    create_tables(lake)
    return History(lake)


@pytest.fixture
def learnable(history: History) -> Learnable:
    """A function that fills the lake with leads to learn from."""

    def fill(count: int, *, seed: int = 3) -> None:
        _learnable(history, count, seed=seed)

    return fill


def _learnable(history: History, count: int, *, seed: int) -> None:
    """``count`` leads of three years whose chances depend on source, questions and replies."""
    dice = np.random.default_rng(seed)
    for person_id in range(1, count + 1):
        created = NOW - timedelta(days=1100 - 1000 * person_id / count, hours=float(dice.uniform(0, 20)))
        is_referral = dice.random() < 0.25
        asks_twice = dice.random() < 0.3
        replies = dice.random() < 0.35
        history.person(person_id, created, landed_at=NOW - timedelta(hours=1),
                       source="Referral" if is_referral else "Zillow", price_usd=float(dice.integers(2, 9) * 100_000),
                       stage="Closed")  # fmt: skip
        history.event(person_id, created + timedelta(seconds=20))
        if asks_twice:
            history.event(person_id, created + timedelta(minutes=5))
        if replies:
            history.reply(person_id, created + timedelta(hours=5))
        log_odds = -2.6 + 1.4 * is_referral + 0.9 * asks_twice + 1.5 * replies
        if dice.random() < 1 / (1 + np.exp(-log_odds)):
            history.appointment(person_id, created + timedelta(days=float(dice.uniform(2, 80))))
    history.flush()
