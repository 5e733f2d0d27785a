"""Anything at all, sent to every route there is."""

from __future__ import annotations

from typing import Any

import schemathesis

# Imported while no other thread compiles: Python 3.11 gives "AST constructor recursion depth mismatch" otherwise.
import schemathesis.specs.openapi.schemas
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leadpipe.gateway.app import create_app
from leadpipe.runtime import Runtime
from tests.gateway.conftest import Ledger

# What a caller may meet. 406 and 410 would make Follow Up Boss delete its hook; 5xx would be an error of ours.
ALLOWED = {200, 204, 400, 401, 404, 405, 413}
HEADERS = ("FUB-Signature", "X-Twilio-Signature", "x-amz-sns-message-type", "Content-Type", "Accept")
FUB_PATH = {
    "post": {
        "parameters": [{"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "stored"}},
    }
}
WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))


def test_no_route_answers_anything_but_what_it_may(http: TestClient, runtime: Runtime, ledger: Ledger) -> None:
    described = create_app(runtime).openapi()
    # The one route that stands beside FastAPI's, and in no schema of its own.
    described["paths"]["/fub/{token}"] = FUB_PATH
    schema = schemathesis.openapi.from_dict(described)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {operation.path for operation in operations} == {
        "/fub/{token}", "/twilio/status", "/twilio/inbound", "/ses/events", "/ses/inbound", "/u/{token}", "/healthz",
        "/metrics",
    }  # fmt: skip
    for operation in operations:
        _fuzz(http, operation)
    assert ledger.inbox() == []
    assert ledger.suppressed() == []


def _fuzz(http: TestClient, operation: Any) -> None:
    @given(
        case=operation.as_strategy(),
        body=st.binary(max_size=200),
        headers=st.dictionaries(st.sampled_from(HEADERS), WORDS, max_size=3),
    )
    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any, body: bytes, headers: dict[str, str]) -> None:
        sent = case.as_transport_kwargs(base_url="http://testserver")
        answer = http.request(sent["method"], sent["url"], content=body, headers=headers)
        assert answer.status_code in ALLOWED, (operation.label, answer.status_code)

    call()
