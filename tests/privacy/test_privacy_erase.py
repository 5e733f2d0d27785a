"""Erasing a person: the scan that finds them before finds nothing afterwards, and nobody else loses anything."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from sqlalchemy import text

from leadpipe.audit.seal import seal
from leadpipe.audit.verify import verify
from leadpipe.errors import Rejected, TransientError
from leadpipe.privacy import disk
from leadpipe.privacy.erase import erase, plan
from leadpipe.privacy.needles import collect
from leadpipe.privacy.scan import Scanned, scan
from leadpipe.privacy.subject import subject_of
from leadpipe.store import mirror
from tests.privacy.conftest import ADA, BOB, NOW, Place

NEVER = "ada.quimby@mail.example"


def needles_of(place: Place, person_id: int) -> Any:
    with place.runtime.engine.connect() as connection:
        return collect(connection, place.runtime.lake, subject_of(connection, person_id))


def look(place: Place, needles: Any) -> Scanned:
    return scan(place.runtime.engine, place.runtime.lake, place.runtime.settings, needles)


def bobs(place: Place) -> dict[str, Any]:
    """Everything about the other person, versions in the lake too."""
    tables = ("people", "messages", "inbound_messages", "qualifications", "writebacks", "inquiries", "consents")
    found: dict[str, Any] = {
        table: place.ledger(f"select to_jsonb(t) - 'xid' from ledger.{table} t where person_id = 8 order by 1")
        for table in tables
    }
    found |= {
        table: place.lake(f"select * from {table} where person_id = 8 order by all")
        for table in ("raw.fub__people", "raw.fub__events", "scoring.lead_scores", "raw.ledger__messages")
    }
    return found


def test_found_everywhere_before_and_nowhere_after_and_the_next_poll_brings_nothing_back(place: Place) -> None:
    runtime = place.runtime
    home = runtime.settings.home
    (home / "logs").mkdir()
    (home / "logs" / "gateway.log").write_text("ok\nanswered (512) 555-0107\nok\n")
    (home / "logs" / "old.log.gz").write_bytes(gzip.compress(b"nobody in here"))
    seal(runtime.engine, clock=runtime.clock)
    others, needles = bobs(place), needles_of(place, 7)
    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("checkpoint"))  # else the newest rows are in memory alone

    done = erase(runtime, 7, reason="request 1")

    assert done.before is not None
    assert done.after is not None
    places = set(done.before.found)
    assert {"table ledger.messages", "table ledger.inbox", "file logs/gateway.log"} <= places
    assert {"raw/fub__people", "raw/fub__deals", "raw/ledger__messages"} <= {
        "/".join(name.removeprefix("file lake/").split("/")[:2]) for name in places
    }
    assert any(name.startswith("file pg/data/base/") for name in places), "in the heap as bytes"
    assert any(name.startswith("file pg/data/pg_wal/") for name in places), "and in the log"
    assert done.after.found == {}
    assert done.not_done == []
    assert done.after.looked_at["files of PostgreSQL's log"] >= 1
    log = (home / "logs" / "gateway.log").read_text()
    assert len(log) == len("ok\nanswered (512) 555-0107\nok\n")
    assert log.startswith("ok\nanswer")
    assert "0107" not in log
    assert bobs(place) == others

    # nothing goes out any more, and what was sent is still known to have been
    states = place.ledger("select state, code, body, evidence from ledger.messages where person_id = 7 order by id")
    assert [(row.state, row.code) for row in states] == [("delivered", None), ("cancelled", "suppressed_erased")]
    assert {row.body for row in states} == {""}
    assert place.ledger("select count(*) from ledger.suppressions where source = 'erased'")[0][0] == 2
    assert place.ledger("select needles from ledger.erasures")[0][0] == {}
    seal(runtime.engine, clock=runtime.clock)
    assert verify(runtime.engine).problems == ()
    assert verify(runtime.engine).count_cleared > 0

    # the mirror brings what is left, and agrees
    mirror.mirror(runtime.engine, runtime.lake, now=NOW)
    assert mirror.differences(runtime.engine, runtime.lake) == {}
    [deal] = place.lake("select payload from raw.fub__deals")
    assert "Rossi" in deal["payload"]
    assert "Quimby" not in deal["payload"]

    # the CRM still tells of them
    place.poll(ADA, BOB)
    assert place.lake("select * from raw.fub__people where person_id = 7") == []
    assert place.ledger("select first_name, erased_at from ledger.people where person_id = 7")[0].first_name == ""
    assert look(place, needles).found == {}

    # somebody types them in anew: stored, since they may have asked for it, and never contacted
    place.poll({**ADA, "id": 77})
    [row] = place.ledger(
        "select s.source, s.channel from ledger.contact_points c join ledger.suppressions s "
        "on s.contact_point_id = c.id where c.address = :address",
        address=NEVER,
    )
    assert tuple(row) == ("erased", "all")


def test_merged_records_go_together_and_a_shared_address_stays_with_the_other_and_is_silent(place: Place) -> None:
    runtime = place.runtime
    loser = {**ADA, "id": 9, "lastName": "Quimby-Old", "emails": [{"value": "old.ada@mail.example"}], "phones": []}
    shared = {**BOB, "id": 10, "firstName": "Cy", "emails": [{"value": "cy@mail.example"}], "phones": ADA["phones"]}
    place.poll(loser, shared)
    place.run("update ledger.people set merged_into = 7 where person_id = 9")
    found = plan(runtime, 9)
    assert found.as_json()["records"] == [7, 9]
    assert found.as_json()["shared_with"] == [10]

    done = erase(runtime, 9, with_scan=False)

    assert done.records == (7, 9)
    assert done.shared_with == (10,)
    left = place.ledger("select kind, address from ledger.contact_points order by id")
    assert ("phone", "+15125550107") in {tuple(row) for row in left}, "it is Cy's too"
    # What stands instead of an address is a hash, and may spell anything.
    assert {row.address for row in left if "ada" in row.address and not row.address.startswith("erased:")} == set()
    silent = place.ledger(
        "select c.address from ledger.suppressions s join ledger.contact_points c on c.id = s.contact_point_id "
        "where s.source = 'erased' and not starts_with(c.address, 'erased:')"
    )
    assert [row.address for row in silent] == ["+15125550107"]
    assert place.ledger("select merged_into, first_name from ledger.people where person_id = 9")[0].first_name == ""


def test_the_certificate_counts_each_row_once_and_a_second_erasure_finds_none(place: Place) -> None:
    told = plan(place.runtime, 7).ledger
    assert (told["people"], told["messages"], told["verdicts"], told["qualifications"]) == (1, 2, 1, 1)

    assert erase(place.runtime, 7, with_scan=False).ledger == told

    assert plan(place.runtime, 7).ledger == {}
    assert erase(place.runtime, 7, with_scan=False).ledger == {}


def test_an_erasure_that_was_stopped_goes_on_and_still_knows_what_to_look_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise TransientError("somebody holds it")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "rewrite_tables", stop)
        with pytest.raises(TransientError):
            erase(place.runtime, 7)
    assert place.ledger("select state from ledger.erasures")[0].state == "cleared"

    done = erase(place.runtime, 7)

    assert done.after is not None
    assert done.after.looked_at["tables of PostgreSQL"] > 20
    assert done.after.found == {}
    [row] = place.ledger("select state, certificate from ledger.erasures")
    assert row.state == "done"
    assert row.certificate["scan_after"]["is_clean"]
    assert "quimby" not in json.dumps(row.certificate).lower()


def test_a_transaction_that_could_still_see_the_rows_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "OPEN_SECONDS", 0.3)
    with place.runtime.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        reader.execute(text("select count(*) from ledger.people"))
        with place.runtime.engine.begin() as connection:
            connection.execute(text("select pg_current_xact_id()"))
        with pytest.raises(TransientError, match="session \\d+ of PostgreSQL"):
            disk.wait_for_open(place.runtime.database_url)
    disk.wait_for_open(place.runtime.database_url)


@pytest.mark.parametrize("by_setting", ["ask", "delete"])
def test_the_crm_is_asked_or_told_by_setting(place: Place, by_setting: str) -> None:
    from leadpipe.privacy.at_crm import tell_crm

    settings = place.runtime.settings.model_copy(update={"erase_at_crm": by_setting})
    with place.runtime.engine.begin() as connection:
        tell_crm(connection, settings, subject_of(connection, 7), erasure_id=1, now=NOW)
    [row] = place.ledger("select kind, payload from ledger.writebacks where marker = 'erase:1:7'")
    alerts = place.ledger("select body from ledger.alerts where kind = 'erase_in_crm'")
    if by_setting == "ask":
        assert row.kind == "task"
        assert row.payload["assignedUserId"] == 3
        assert "Quimby" not in row.payload["name"]
        assert len(alerts) == 1
    else:
        assert row.kind == "delete_person"
        assert alerts == []


def test_nobody_of_that_id_is_refused(place: Place) -> None:
    with pytest.raises(Rejected, match="person 999 is not in the ledger"):
        plan(place.runtime, 999)
