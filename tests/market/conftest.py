"""The sandbox over HTTP, and people with stated criteria."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.crm.inquiries import Inquiry, store_inquiries
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people

if TYPE_CHECKING:
    from sqlalchemy import Engine

AddLead = Callable[..., None]


@pytest.fixture(scope="module")
def sandbox() -> Generator[Any]:
    """A running sandbox: ``url``, and ``world`` to look into and to set faults."""
    import uvicorn

    from leadpipe.sandbox.app import create_app
    from leadpipe.sandbox.config import SandboxConfig

    config = SandboxConfig()
    app = create_app(config)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", access_log=False, ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until, "the sandbox did not start"
        time.sleep(0.02)
    config.base_url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield app.state.world.sandbox
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def add_lead(ledger_engine: Engine, clock: FixedClock) -> AddLead:
    """A function that stores a person, perhaps with an inquiry about a home and answers."""

    def add(
        person_id: int,
        *,
        price: int | None = None,
        home: dict[str, str] | None = None,
        kind: str = "Property Inquiry",
        answers: dict[str, str] | None = None,
        **payload: Any,
    ) -> None:
        from sqlalchemy import text

        now = clock.now()
        person = read_person(
            {"id": person_id, "created": now.isoformat(), "firstName": "Ana", "price": price,
             "emails": [{"value": f"lead{person_id}@example.com"}]} | payload
        )  # fmt: skip
        upsert_people(ledger_engine, [person], now=now)
        if home is not None:
            inquiry = Inquiry(event_id=person_id, person_id=person_id, type=kind, source="Zillow", message="",
                              property=home, occurred_at=now)  # fmt: skip
            store_inquiries(ledger_engine, [inquiry], now=now)
        with ledger_engine.begin() as connection:
            for key, value in (answers or {}).items():
                connection.execute(
                    text(
                        "insert into ledger.qualifications (person_id, key, value, sentence, at) "
                        "values (:person, :key, :value, '', :at)"
                    ),
                    {"person": person_id, "key": key, "value": value, "at": now},
                )

    return add
