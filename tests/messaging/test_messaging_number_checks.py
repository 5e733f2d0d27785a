"""Files of do-not-call lists and of the reassigned-numbers database, matched with the real ledger."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from leadpipe.clock import FixedClock
from leadpipe.errors import BadRecord, ConfigurationError
from leadpipe.messaging.number_checks import Imported, import_file, list_name, to_ask
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, MakeIntent, Put, Rows

    Import = Callable[..., Imported]


@pytest.fixture
def take(ledger_engine: Engine, clock: FixedClock, tmp_path: Path) -> Import:
    """A function that imports a file of these lines, of today unless said otherwise."""

    def take(which: str, *lines: str, day: date | None = None, **more: object) -> Imported:
        path = tmp_path / "list.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        now = clock.now()
        return import_file(ledger_engine, path, which=which, day=day or now.date(), now=now, **more)  # type: ignore[arg-type]

    return take


def test_a_number_on_the_list_is_listed_one_of_its_area_code_is_not_and_of_others_nothing_is_known(
    take: Import, add_lead: AddLead, rows: Rows, ledger_engine: Engine
) -> None:
    listed = add_lead(1, phone="+15125550001")
    free = add_lead(2, phone="+15125550002")
    add_lead(3, phone="+13125550003")
    found = take("dnc", "area_code,local", "512,5550001", "512,5559999")
    assert (found.results, found.count_foreign, found.count_unreadable) == ({"yes": 1, "no": 1}, 1, 0)
    assert _checks(ledger_engine) == {(listed.phone_id, "dnc"): "yes", (free.phone_id, "dnc"): "no"}


@pytest.mark.parametrize("written", ["5125550001", "(512) 555-0001", "+1 512 555 0001"])
def test_a_number_is_found_however_the_file_writes_it(take: Import, add_lead: AddLead, written: str) -> None:
    add_lead(1, phone="+15125550001")
    assert take("state:tx", "Phone Number", written, columns={"number": "phone number"}).results == {"yes": 1}


def test_an_older_file_and_a_dry_run_change_nothing(
    take: Import, add_lead: AddLead, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_lead(1, phone="+15125550001")
    take("dnc", "number", "5125550001", is_dry_run=True)
    assert _checks(ledger_engine) == {}
    take("dnc", "number", "5125550001")
    take("dnc", "number", "5125550009", day=clock.now().date() - timedelta(days=30))
    assert set(_checks(ledger_engine).values()) == {"yes"}


def test_a_number_that_changed_hands_is_taken_from_everybody_and_what_waits_there_is_cancelled(
    take: Import, add_lead: AddLead, put: Put, intent: MakeIntent, rows: Rows
) -> None:
    lead = add_lead(1, pewc=True)
    put(intent(lead, "sms"), intent(lead, "email", step="second"))
    found = take("reassigned", "number,result", f"{lead.phone},yes")
    assert found.count_detached == 1
    assert {row.channel: (row.state, row.code) for row in rows("messages")} == {
        "sms": ("cancelled", "suppressed_reassigned"),
        "email": ("queued", None),
    }


def test_lines_that_say_nothing_are_counted_and_named_without_their_words(take: Import, add_lead: AddLead) -> None:
    add_lead(1, phone="+15125550001")
    found = take("reassigned", "number,result", "5125550001,no", "nobody,no", "5125550001,perhaps", ",")
    assert (found.results, found.count_lines, found.count_unreadable) == ({"no": 1}, 4, 3)
    assert found.unreadable == [
        "line 3: holds no telephone number",
        "line 4: answers 'perhaps'; yes, no or no_data are known",
        "line 5: holds no telephone number",
    ]


@pytest.mark.parametrize(
    ("which", "header", "says"),
    [
        ("dnc", "phone", "has no column number (or area_code and local), it has phone"),
        ("reassigned", "number", "has no column result, it has number"),
    ],
)
def test_a_missing_column_is_named_and_nothing_is_stored(
    take: Import, add_lead: AddLead, ledger_engine: Engine, which: str, header: str, says: str
) -> None:
    add_lead(1)
    with pytest.raises(ConfigurationError, match="has no column") as caught:
        take(which, header, "5125550001")
    assert says in str(caught.value)
    assert _checks(ledger_engine) == {}


def test_a_day_ahead_and_a_list_of_no_name_are_refused(take: Import, clock: FixedClock) -> None:
    with pytest.raises(ConfigurationError, match="lies ahead"):
        take("dnc", "number", "5125550001", day=clock.now().date() + timedelta(days=1))
    with pytest.raises(BadRecord, match="no list 'donotcall'"):
        list_name("donotcall")


def test_a_text_to_an_aged_lead_waits_for_the_database_and_goes_once_it_says_no(
    take: Import, add_lead: AddLead, put: Put, intent: MakeIntent, rows: Rows, ledger_engine: Engine, clock: FixedClock
) -> None:
    lead = add_lead(1, pewc=True)
    clock.advance(timedelta(days=60))
    put(intent(lead, "sms"))
    assert [(row.state, row.code) for row in rows("messages")] == [("blocked", "rnd_missing")]
    asked = to_ask(ledger_engine, now=clock.now(), consent_days=45, answer_days=31)
    assert [number for number, _ in asked] == [lead.phone]
    take("reassigned", "number,result", f"{lead.phone},no")
    assert list(to_ask(ledger_engine, now=clock.now(), consent_days=45, answer_days=31)) == []
    put(intent(lead, "sms", step="second"))
    assert [row.state for row in rows("messages")] == ["blocked", "queued"]


def test_messages_of_marketing_wait_while_the_crms_opt_outs_are_not_read(
    add_lead: AddLead, put: Put, intent: MakeIntent, rows: Rows, ledger_engine: Engine, clock: FixedClock,
    live_settings: Settings,
) -> None:  # fmt: skip
    from leadpipe.crm import watermark
    from leadpipe.messaging.cases import REFUSALS

    lead, read_at = add_lead(1, asked_at=clock.now()), clock.now() - timedelta(minutes=16)
    watermark.write(ledger_engine, REFUSALS, read_at, now=read_at)
    put(intent(lead), intent(lead, step="welcome", purpose="inquiry_response"))
    assert {row.step: (row.state, row.code) for row in rows("messages")} == {
        "first": ("held", "refusals_not_read"),
        "welcome": ("queued", None),
    }
    assert rows("alerts") == [], "waiting for a reading is no fault that a person must hear of"


def _checks(engine: Engine) -> dict[tuple[int, str], str]:
    from sqlalchemy import text

    with engine.connect() as connection:
        found = connection.execute(text("select contact_point_id, list, result from ledger.number_checks"))
        return {(row.contact_point_id, row.list): row.result for row in found}
