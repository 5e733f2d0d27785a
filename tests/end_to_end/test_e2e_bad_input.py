"""Bad input in the running system gives a clear error and loses nothing."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from leadpipe.sandbox.fub.notices import signature
from leadpipe.store.mirror import differences, mirror
from tests.end_to_end.conftest import Live, until

pytestmark = pytest.mark.e2e
GONE_SECONDS = 8


def notice(**changes: object) -> dict[str, object]:
    return {
        "eventId": str(uuid.uuid4()),
        "eventCreated": "2026-05-12T15:00:00+00:00",
        "event": "peopleUpdated",
        "resourceIds": [1],
        "uri": "http://127.0.0.1/fub/v1/people?id=1",
        **changes,
    }


def post(live: Live, body: bytes, *, signed: bytes | None = None, timeout: float = 15) -> httpx.Response:
    """A webhook of the CRM; ``signed`` is the body the signature was made for."""
    key = live.config.fub_system_key
    token = live.runtime.settings.fub_webhook_token.get_secret_value()
    headers = {
        "FUB-Signature": signature(body if signed is None else signed, key),
        "Content-Type": "application/json",
    }
    return httpx.post(f"{live.gateway}/fub/{token}", content=body, headers=headers, timeout=timeout)


def messages_to(live: Live, address: str) -> list[dict[str, object]]:
    return [row for row in live.sandbox.messages() if row["to"].lower() == address.lower()]


# webhooks


def test_a_truncated_webhook_is_answered_400_and_kept(live: Live) -> None:
    whole = json.dumps(notice()).encode()
    answer = post(live, whole[: len(whole) // 2], signed=whole)
    assert answer.status_code == 400
    assert "no JSON" in answer.json()["error"]
    kept = live.rows("select reason, raw from ledger.quarantine where source = 'fub_webhook' order by id desc limit 1")
    assert bytes(kept[0].raw) == whole[: len(whole) // 2]
    assert "cut short" in kept[0].reason


def test_a_forged_webhook_is_answered_401_and_not_stored(live: Live) -> None:
    forged = notice()
    answer = post(live, json.dumps(forged).encode(), signed=b"another body")
    assert answer.status_code == 401
    assert live.rows("select 1 from ledger.inbox where dedupe_key = :id", id=forged["eventId"]) == []


def test_a_repeated_webhook_is_stored_once(live: Live) -> None:
    twice = notice()
    body = json.dumps(twice).encode()
    assert [post(live, body).status_code for _ in range(2)] == [200, 200]
    assert len(live.rows("select 1 from ledger.inbox where dedupe_key = :id", id=twice["eventId"])) == 1


# people


def test_a_person_with_no_phone_or_email_is_kept_with_the_reason(live: Live) -> None:
    person_id = live.asks(firstName="Nobody", lastName="Reachable")
    row = until(lambda: live.rows("select outcome from ledger.people where person_id = :id and outcome is not null",
                                  id=person_id))  # fmt: skip
    assert row[0].outcome == "no_contact_point"
    landed = live.runtime.lake.query("select count(*) as n from raw.fub__people where person_id = ?", [person_id])
    assert landed["n"][0].as_py() >= 1


def test_a_phone_of_forty_digits_is_quarantined_and_the_lead_still_emailed(live: Live) -> None:
    address = f"forty-{uuid.uuid4().hex[:6]}@example.com"
    person_id = live.asks(firstName="Fortydigits", emails=[{"value": address}], phones=[{"value": "5" * 40}])
    until(lambda: messages_to(live, address))
    aside = live.rows("select reason from ledger.quarantine where record_key like :key", key=f"%{person_id}%")
    assert aside
    assert "5555" not in aside[0].reason


# files and keys


def test_a_csv_that_lacks_a_column_is_named_and_the_table_keeps_what_it_had(live: Live) -> None:
    spend = live.home.parent / "spend.csv"
    good = spend.read_text()
    run = live.dagster.launch_job("read_spend")
    until(lambda: live.dagster.status_of(run) == "SUCCESS")
    spend.write_text("month,source\n2026-03,Zillow\n")
    try:
        run = live.dagster.launch_job("read_spend")
        until(lambda: live.dagster.status_of(run) == "FAILURE")
    finally:
        spend.write_text(good)
    said = live.rows(
        "select event from dagster.event_logs where run_id = :run and dagster_event_type = 'STEP_FAILURE'", run=run
    )
    assert "lacks the column spend_usd" in said[0].event
    assert live.runtime.lake.query("select count(*) as n from raw.spend")["n"][0].as_py() == 1
    until(lambda: live.rows("select 1 from ledger.alerts where kind = 'run_failed' and title like '%read_spend%'"))


def test_a_wrong_api_key_is_named_by_doctor_and_by_an_alert(live: Live) -> None:
    keys = httpx.post(
        f"{live.config.base_url}/_control/config", json={"fub_api_key": "fka_changed_at_the_crm"}, timeout=10
    )
    assert keys.status_code == 200
    try:
        told = subprocess.run(
            [sys.executable, "-m", "leadpipe.cli.main", "doctor", "--json"],
            env=live.environment | _variables(live),
            cwd=live.home,
            capture_output=True,
            text=True,
            check=False,
        )
        wrong = {row["check"]: row for row in json.loads(told.stdout)["checks"] if row["state"] == "wrong"}
        assert told.returncode == 1
        assert "LEADPIPE_FUB_API_KEY" in wrong["FUB key"]["words"]
        until(lambda: live.rows("select 1 from ledger.alerts where kind = 'poll_failed' and body like '%FUB_API_KEY%'"),
              seconds=150)  # fmt: skip
    finally:
        httpx.post(f"{live.config.base_url}/_control/config", json={"fub_api_key": live.config.fub_api_key}, timeout=10)


def _variables(live: Live) -> dict[str, str]:
    from leadpipe.sandbox.environment import sandbox_environment

    return sandbox_environment(live.config) | {"LEADPIPE_HOME": str(live.home)}


# disks and databases


def test_a_disk_that_takes_nothing_fails_the_run_leaves_the_ledger_alone_and_the_next_run_catches_up(
    live: Live,
) -> None:
    folder = live.home / "lake" / "raw" / "ledger__inbox"
    aside = folder.with_name("ledger__inbox.aside")
    until(folder.exists)
    folder.rename(aside)
    folder.write_text("no room for a folder here")
    try:
        body = notice()
        assert post(live, json.dumps(body).encode()).status_code == 200
        until(
            lambda: live.rows(
                "select 1 from ledger.inbox where dedupe_key = :id and state <> 'new'", id=body["eventId"]
            )
        )
        run = live.dagster.launch_job("mirror_ledger")
        until(lambda: live.dagster.status_of(run) == "FAILURE")
    finally:
        folder.unlink()
        aside.rename(folder)
    assert len(live.rows("select 1 from ledger.inbox where dedupe_key = :id", id=body["eventId"])) == 1
    run = live.dagster.launch_job("mirror_ledger")
    until(lambda: live.dagster.status_of(run) == "SUCCESS")
    assert "inbox" not in differences(live.runtime.engine, live.runtime.lake)


FULL = """
import resource, sys
from leadpipe.runtime import open_runtime
from leadpipe.store.mirror import mirror
runtime = open_runtime(env_file=None)
runtime.engine.connect().close()
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
mirror(runtime.engine, runtime.lake, now=runtime.clock.now())
"""


def test_a_full_disk_of_the_lake_is_an_error_that_says_so_and_commits_nothing(live: Live) -> None:
    body = notice()
    assert post(live, json.dumps(body).encode()).status_code == 200
    before = live.runtime.lake.snapshot_id()
    done = subprocess.run(
        [sys.executable, "-c", FULL],
        env=live.environment | _variables(live),
        cwd=live.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, "a write beyond the limit must fail"
    assert "ould not write" in done.stderr or "too large" in done.stderr, done.stderr[-800:]
    assert live.runtime.lake.snapshot_id() >= before
    mirror(live.runtime.engine, live.runtime.lake, now=live.runtime.clock.now())
    assert differences(live.runtime.engine, live.runtime.lake) == {}


@contextlib.contextmanager
def database_gone(home: Path) -> Generator[None]:
    """PostgreSQL killed, and kept from starting for the block by the lock that a start needs."""
    with (home / "pg" / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pid = int((home / "pg" / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        yield


def test_with_postgresql_gone_the_gateway_answers_503_and_everything_recovers(live: Live) -> None:
    lost = notice()
    body = json.dumps(lost).encode()
    with database_gone(live.home):
        time.sleep(1)
        statuses = set()
        deadline = time.monotonic() + GONE_SECONDS
        while time.monotonic() < deadline:
            statuses.add(post(live, body, timeout=30).status_code)
            time.sleep(0.5)
        assert statuses == {503}
    live.runtime.engine.dispose()
    until(lambda: _status(live, body) == 200)
    assert len(live.rows("select 1 from ledger.inbox where dedupe_key = :id", id=lost["eventId"])) == 1
    address = f"after-{uuid.uuid4().hex[:6]}@example.com"
    live.asks(firstName="Afterthefall", emails=[{"value": address}])
    until(lambda: messages_to(live, address), seconds=120)


def _status(live: Live, body: bytes) -> int:
    try:
        return post(live, body).status_code
    except httpx.HTTPError:
        return 0
