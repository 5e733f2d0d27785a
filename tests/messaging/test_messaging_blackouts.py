"""C46: while an emergency is declared in a state nobody there is solicited, from the setting to the gate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.policy.blackout import Blackout
from leadpipe.setting_loading import load_settings
from leadpipe.store.house_settings import fingerprints

if TYPE_CHECKING:
    from leadpipe.clock import FixedClock
    from leadpipe.settings import Settings
    from tests.messaging.conftest import AddLead, FakeChannel, Go, MakeIntent, Put, Rows

NEW_ORLEANS = {"zip": "70112", "city": "New Orleans", "state": "LA"}
STORM = '[{"state": "la", "begins_at": "2026-03-02T18:00-06:00", "ends_at": "2026-03-05T00:00-06:00"}]'


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> tuple[Blackout, ...]:
    """What the setting says, as the running system reads it."""
    monkeypatch.setenv("LEADPIPE_BLACKOUTS", STORM)
    return load_settings(env_file=None).blackouts


def test_the_setting_is_read_with_its_zone_and_the_state_as_people_write_it(storm: tuple[Blackout, ...]) -> None:
    [one] = storm
    assert (one.state, one.begins_at, one.ends_at) == (
        "LA", datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 5, 6, tzinfo=UTC),
    )  # fmt: skip


WRONG = {
    "LA": "LEADPIPE_BLACKOUTS: no JSON (Expecting value: line 1 column 1 (char 0)); write [{",
    '{"state": "LA"}': "LEADPIPE_BLACKOUTS: no list; write [{",
    '[{"state": "Louisville", "begins_at": "2026-03-02T00:00Z", "ends_at": "2026-03-05T00:00Z"}]': "LEADPIPE_BLACKOUTS "
    "(entry 1, state): 'Louisville' is no state; write two letters like LA",
    '[{"state": "LA", "begins_at": "2026-03-02T00:00", "ends_at": "2026-03-05T00:00Z"}]': "(entry 1, begins_at): "
    "a time without zone",
    '[{"state": "LA", "begins_at": "2026-03-05T00:00Z", "ends_at": "2026-03-02T00:00Z"}]': "(entry 1): it "
    "ends before it begins",
    '[{"state": "LA", "begins_at": "2026-03-05T00:00Z"}]': "(entry 1, ends_at): it is missing",
    '[{"state": "LA", "begins_at": "2026-03-05T00:00Z", "ends_at": "2026-03-06T00:00Z", "county": "x"}]': "(entry 1, "
    "county): there is no such name",
}


@pytest.mark.parametrize(("value", "said"), WRONG.items(), ids=range(len(WRONG)))
def test_a_wrong_value_says_which_entry_is_wrong_and_how_to_write_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("LEADPIPE_BLACKOUTS", value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(env_file=None)
    assert said in str(refused.value)


def test_without_the_setting_there_is_none_and_with_it_a_command_of_other_settings_is_noticed(
    settings: Settings, storm: tuple[Blackout, ...]
) -> None:
    assert settings.blackouts == ()
    assert (
        fingerprints(settings)["blackouts"]
        != fingerprints(settings.model_copy(update={"blackouts": storm}))["blackouts"]
    )


def test_the_gate_blocks_marketing_there_and_leaves_answers_to_a_person(
    add_lead: AddLead, intent: MakeIntent, put: Put, rows: Rows, storm: tuple[Blackout, ...], clock: FixedClock
) -> None:
    now = clock.now()
    there = add_lead(1, pewc=True, phone="+15045550101", place=NEW_ORLEANS, asked_at=now)
    elsewhere = add_lead(2, pewc=True)
    # A number of the area code places somebody there too.
    by_number = add_lead(3, pewc=True, phone="+15045550103")
    asking: dict[str, Any] = {"purpose": "inquiry_response", "plan": "new_lead", "step": "answer"}
    put(
        intent(there, "sms"),
        intent(there, "email", step="mail"),
        intent(there, "email", **asking),
        intent(elsewhere, "sms"),
        intent(by_number, "sms"),
        intent(there, "sms", step="later", due_at=storm[0].ends_at + timedelta(hours=10)),
        blackouts=storm,
    )
    assert {(row.person_id, row.step): (row.state, row.code) for row in rows("messages")} == {
        (1, "first"): ("blocked", "emergency"),
        (1, "mail"): ("blocked", "emergency"),
        (1, "answer"): ("review", "emergency"),
        (1, "later"): ("queued", None),
        (2, "first"): ("queued", None),
        (3, "first"): ("blocked", "emergency"),
    }


def test_what_was_planned_before_the_storm_does_not_leave_in_it(
    add_lead: AddLead,
    intent: MakeIntent,
    put: Put,
    go: Go,
    rows: Rows,
    storm: tuple[Blackout, ...],
    channels: dict[str, FakeChannel],
) -> None:
    put(intent(add_lead(1, pewc=True, phone="+15045550101", place=NEW_ORLEANS), "sms"))
    assert [row.state for row in rows("messages")] == ["queued"]
    go(blackouts=storm)
    assert [(row.state, row.code) for row in rows("messages")] == [("blocked", "emergency")]
    assert channels["sms"].requests == []
