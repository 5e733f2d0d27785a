"""Follow Up Boss calls: signatures on raw bytes, stored before answered, once each, never 406 or 410."""

from __future__ import annotations

import concurrent.futures
import json
import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadpipe.gateway import fub
from leadpipe.gateway.signatures import is_from_fub
from tests.gateway.conftest import FUB_TOKEN, OLD_SYSTEM_KEY, SYSTEM_KEY, Callers, Ledger, fub_signature

# The worked example of the FUB sheet, section 6.4.
BODY_A = (
    b'{"eventId":"5b0f6a52-6c1e-4f0b-9a55-0d9d3c1f7a10","eventCreated":"2025-03-04T05:06:07+00:00",'
    b'"event":"peopleUpdated","resourceIds":[101,102],"uri":"https://api.followupboss.com/v1/people?id=101,102"}'
)
BODY_B = BODY_A.replace(b"/", b"\\/")
A_RIGHT = "e204ac8d0fb0d67132ca20aca203778631c77e7fc8246e443ddccea9cbab4254"
A_OVER_THE_BODY_ITSELF = "4214a4004bd40a113dc543c7d4986015232664c660665252b35302f0882658f4"
A_UNPADDED = "b5f7640ec54d6a093a6a794e31a236d3ef080da7817acc3ca2d4c5b3798633b4"
B_RIGHT = "ae6c192b12ce9c62907a388aef3a6b17cf7e369c169ec25adc9e80cb2fe7ad3a"


def notice(event: str = "peopleUpdated", ids: list[int] | None = None, event_id: str = "") -> bytes:
    return json.dumps(
        {"eventId": event_id or str(uuid.uuid4()), "event": event, "resourceIds": ids or [101], "uri": None}
    ).encode()


@pytest.mark.parametrize(
    ("body", "signature", "is_right"),
    [
        (BODY_A, A_RIGHT, True),
        (BODY_B, B_RIGHT, True),
        (BODY_A, A_OVER_THE_BODY_ITSELF, False),
        (BODY_A, A_UNPADDED, False),
        (BODY_B, A_RIGHT, False),
        (BODY_A, A_RIGHT.upper(), False),
        (BODY_A, "", False),
        (BODY_A, None, False),
        (BODY_A, "é", False),
    ],
    ids=["A", "B, slashes escaped", "over the body itself", "unpadded", "of another body", "upper case", "empty",
         "missing", "not ASCII"],
)  # fmt: skip
def test_the_worked_example_of_the_sheet(body: bytes, signature: str | None, is_right: bool) -> None:
    assert is_from_fub(body, signature, [SYSTEM_KEY]) is is_right


def test_an_empty_key_signs_nothing() -> None:
    assert not is_from_fub(BODY_A, fub_signature(BODY_A, ""), ["", ""])


def test_a_notification_is_stored_as_it_came_before_it_is_answered(callers: Callers, ledger: Ledger) -> None:
    answer = callers.fub(BODY_A, signature=A_RIGHT)
    assert answer.status_code == 200
    row = ledger.rows("select source, kind, dedupe_key, body, state from ledger.inbox")[0]
    assert (row.source, row.kind, row.state) == ("fub", "peopleUpdated", "new")
    assert row.dedupe_key == "5b0f6a52-6c1e-4f0b-9a55-0d9d3c1f7a10"
    assert bytes(row.body) == BODY_A


def test_a_repeated_notification_is_answered_and_stored_once(callers: Callers, ledger: Ledger) -> None:
    body = notice()
    assert [callers.fub(body).status_code for _ in range(3)] == [200, 200, 200]
    assert len(ledger.inbox()) == 1


def test_the_previous_system_key_is_still_accepted(callers: Callers, ledger: Ledger) -> None:
    assert callers.fub(notice(), key=OLD_SYSTEM_KEY).status_code == 200
    assert len(ledger.inbox()) == 1


def test_a_bad_signature_is_401_and_stores_nothing(callers: Callers, ledger: Ledger) -> None:
    assert callers.fub(notice(), key="another key").status_code == 401
    assert callers.fub(notice(), signature="").status_code == 401
    assert callers.fub(b"hello", signature="00").status_code == 401
    assert ledger.inbox() == []
    assert ledger.rows("select 1 from ledger.quarantine") == []


def test_a_wrong_token_in_the_path_is_404_and_never_410(callers: Callers, ledger: Ledger) -> None:
    assert callers.fub(notice(), token="guess").status_code == 404
    assert callers.fub(notice(), token="gu%C3%A9ss").status_code == 404
    assert ledger.inbox() == []


def test_a_truncated_webhook_is_400_and_kept(callers: Callers, ledger: Ledger) -> None:
    cuts = [BODY_A[:length] for length in (1, 17, 60, 120, len(BODY_A) - 1)]
    assert [callers.fub(cut, signature=A_RIGHT).status_code for cut in cuts] == [400] * len(cuts)
    kept = ledger.rows("select source, reason, raw from ledger.quarantine order by id")
    assert [(row.source, bytes(row.raw)) for row in kept] == [("fub_webhook", cut) for cut in cuts]
    assert all("cut short" in row.reason for row in kept)
    assert ledger.inbox() == []


def test_a_signed_body_that_is_no_notification_is_400_and_kept(callers: Callers, ledger: Ledger) -> None:
    bodies = [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b'{"event":"peopleUpdated"}',
        b'{"eventId":"1","event":""}',
        b'{"eventId":7,"event":"x"}',
        b'{"eventId":"a\\u0000b","event":"x"}',
        b'[{"eventId":"1","event":"x"},{"eventId":"2","event":"x"}]',
        b"\xff\xfe\x00",
        b"[" * 5_000,
    ]
    assert [callers.fub(body).status_code for body in bodies] == [400] * len(bodies)
    kept = [bytes(row.raw) for row in ledger.rows("select raw from ledger.quarantine order by id")]
    assert kept == bodies
    assert ledger.inbox() == []


def test_a_body_in_a_list_of_one_is_accepted(callers: Callers, ledger: Ledger) -> None:
    assert callers.fub(b"[" + BODY_A + b"]").status_code == 200
    assert ledger.inbox() == [("fub", "peopleUpdated", "new", None)]


def test_a_body_beyond_the_limit_is_413(callers: Callers, ledger: Ledger) -> None:
    assert callers.fub(b"x" * 1_000_001).status_code == 413
    assert callers.http.post(f"/fub/{FUB_TOKEN}", content=iter([b"x" * 600_000] * 2)).status_code == 413
    assert ledger.inbox() == []


@given(body=st.binary(max_size=300), signature=st.text(max_size=70))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_is_ever_406_or_410(callers: Callers, body: bytes, signature: str) -> None:
    headers = {"FUB-Signature": signature.encode("utf-8", "replace"), "Accept": "application/nothing"}
    answer = callers.http.post("/fub/fub-token-of-the-tests", content=body, headers=headers)
    assert answer.status_code in {400, 401}


def test_other_methods_and_paths_are_404_or_405(http: TestClient) -> None:
    for path in (f"/fub/{FUB_TOKEN}", "/", "/twilio/status", "/nothing"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = http.request(method, path, headers={"Accept": "image/png"})
            assert answer.status_code in {404, 405}, (method, path, answer.status_code)


def test_notifications_that_arrive_together_are_all_stored_once(callers: Callers, ledger: Ledger) -> None:
    bodies = [notice(event_id=f"event-{number % 60}") for number in range(90)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda body: callers.fub(body).status_code, bodies))
    assert set(codes) == {200}
    assert ledger.one("select count(*) from ledger.inbox") == 60


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
)
def test_reading_any_json_gives_a_report_or_says_why_not(value: Any) -> None:
    try:
        report = fub.read(json.dumps(value).encode())
    except fub.Unreadable:
        return
    assert report.dedupe_key
    assert report.kind


@given(st.integers(min_value=1, max_value=len(BODY_A) - 1))
def test_every_beginning_of_a_notification_is_seen_to_be_cut_short(length: int) -> None:
    assert fub.is_cut_short(BODY_A[:length])
    assert not fub.is_cut_short(BODY_A)
