"""``leadpipe policy diff``: what another pack would have said of the messages that the real ledger keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner

from leadpipe.cli import main
from leadpipe.explain.policy_diff import Difference, compare
from leadpipe.policy.pack_file import FOLDER, named_pack
from leadpipe.runtime import Runtime

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import FixedClock
    from leadpipe.settings import Settings
    from tests.messaging.conftest import AddLead, Go, MakeIntent, Put

SHIPPED = "2026-11-24"
LONG_AGO = datetime.min.replace(tzinfo=UTC)
AUSTIN = ZoneInfo("America/Chicago")
# Local hours at which the team's texts fall due; Texas closes at nine in the evening, the other pack at five.
# 16:59 lies in the two minutes that are left to the carrier, 20:57 before those of nine.
HOURS = ((11, 0), (16, 30), (16, 57), (16, 59), (17, 30), (20, 0), (20, 57), (22, 0))
EVENING = {(16, 59), (17, 30), (20, 0), (20, 57)}

Changed = Callable[..., Path]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """A function that writes the shipped pack with some parts changed, and some left out."""

    def write(name: str = "draft.yaml", *, without: str = "", **parts: dict[str, Any]) -> Path:
        data = yaml.safe_load((FOLDER / f"{SHIPPED}.yaml").read_text(encoding="utf-8"))
        data["parts"] = [each | parts.get(each["name"], {}) for each in data["parts"] if each["name"] != without]
        path = tmp_path / name
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return path

    return write


@pytest.fixture
def early(changed: Changed) -> str:
    """A pack that closes texting at five instead of nine."""
    return str(changed(federal_hours={"window": {"weekdays": [8, 17], "saturday": [8, 17], "sunday": [8, 17]}}))


@pytest.fixture
def texts(add_lead: AddLead, intent: MakeIntent, put: Put, clock: FixedClock) -> dict[str, tuple[int, int]]:
    """Local hour of each text that was planned for today, by message id; everybody also gets an email tomorrow."""
    due: dict[str, tuple[int, int]] = {}
    intents: list[Any] = []
    for person_id, (hour, minute) in enumerate(HOURS, start=1):
        lead = add_lead(person_id, pewc=True)
        at = clock.now().astimezone(AUSTIN).replace(hour=hour, minute=minute).astimezone(UTC)
        intents.append(intent(lead, "sms", due_at=at))
        due[intents[-1].id] = (hour, minute)
        intents.append(intent(lead, "email", step="second", due_at=at + timedelta(days=1)))
    put(*intents)
    return due


def difference(engine: Engine, a: str, b: str, *, since: datetime = LONG_AGO, limit: int = 100) -> Difference:
    with engine.connect() as connection:
        return compare(connection, named_pack(a), named_pack(b), since=since, limit=limit)


def test_the_same_pack_differs_nowhere(ledger_engine: Engine, texts: dict[str, Any], changed: Changed) -> None:
    for other in (SHIPPED, str(changed())):
        found = difference(ledger_engine, SHIPPED, other)
        assert (found.count_messages, found.count_alike) == (2 * len(HOURS), 2 * len(HOURS))
        assert (found.changed, found.not_judged) == ({}, {})


def test_a_pack_that_closes_texting_at_five_changes_exactly_the_evenings_texts(
    ledger_engine: Engine, texts: dict[str, Any], early: str
) -> None:
    found = difference(ledger_engine, SHIPPED, early)
    # The text of ten at night waits for the morning under both.
    [group] = found.changed.values()
    assert (group.was, group.now) == ("ALLOW", "HOLD quiet_hours")
    assert {texts[each] for each in group.message_ids} == EVENING
    back = difference(ledger_engine, early, SHIPPED).changed["HOLD quiet_hours", "ALLOW"]
    assert back.message_ids == group.message_ids
    assert found.count_alike == 2 * len(HOURS) - len(EVENING)


def test_another_moment_to_wait_for_is_another_verdict(
    ledger_engine: Engine, texts: dict[str, Any], changed: Changed
) -> None:
    states = yaml.safe_load((FOLDER / f"{SHIPPED}.yaml").read_text(encoding="utf-8"))["parts"][2]["states"]
    late_start = {"weekdays": [10, 21], "saturday": [10, 21], "sunday": [12, 21]}
    found = difference(ledger_engine, SHIPPED, str(changed(state_hours={"states": states | {"TX": late_start}})))
    [group] = found.changed.values()
    assert (group.was, group.now) == ("HOLD quiet_hours", "HOLD quiet_hours, until another moment")
    assert [texts[each] for each in group.message_ids] == [(22, 0)]


def test_a_verdict_of_the_claim_counts_beside_that_of_the_plan_and_since_looks_at_later_ones_only(
    ledger_engine: Engine, texts: dict[str, Any], early: str, clock: FixedClock, go: Go
) -> None:
    made_at = clock.now()
    clock.advance(timedelta(hours=10, minutes=1))  # 20:01 in Austin
    go()
    found = difference(ledger_engine, SHIPPED, early)
    judged = {each for group in found.changed.values() for each in group.message_ids}
    # What was due at noon and left at eight would have had to wait.
    assert {texts[each] for each in judged} >= {(11, 0), (16, 30), (20, 0)}
    assert found.count_verdicts > found.count_messages
    assert difference(ledger_engine, SHIPPED, early, since=made_at).count_verdicts == found.count_verdicts
    later = difference(ledger_engine, SHIPPED, early, since=made_at + timedelta(minutes=1))
    assert 0 < later.count_verdicts < found.count_verdicts
    assert difference(ledger_engine, SHIPPED, early, since=clock.now() + timedelta(minutes=1)) == Difference()


LOST = {
    "update ledger.contact_points set address = 'erased ' || id where kind = 'phone'": "the address was erased",
    "update ledger.messages set body = '' where channel = 'sms'": "the words were erased",
    "update ledger.messages set evidence = '{}' where channel = 'sms'": "what was known about the person was erased, "
    "or nobody kept it",
    "delete from ledger.consents": "a consent was erased",
    "delete from ledger.inputs where kind = 'settings'": "nobody kept the settings it was judged under",
}


def test_what_was_erased_is_counted_apart_and_named(ledger_engine: Engine, texts: dict[str, Any], early: str) -> None:
    for statement, why in LOST.items():
        with ledger_engine.connect() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(statement))
            found = compare(connection, named_pack(SHIPPED), named_pack(early), since=LONG_AGO, limit=2)
            connection.rollback()
        assert found.not_judged.keys() == {why}, statement
        assert found.not_judged[why].count_messages >= len(HOURS)
        assert len(found.not_judged[why].message_ids) == 2
        assert found.changed == {}
        assert found.count_alike + found.not_judged[why].count_messages == found.count_messages


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that runs ``leadpipe policy diff`` on this test's ledger."""

    def run(*words: str) -> Any:
        monkeypatch.setattr("leadpipe.runtime.open_runtime", lambda **_: Runtime(settings))
        return CliRunner().invoke(main.app, ["policy", "diff", *words])

    return run


def test_the_command_prints_a_table_for_people_and_json_for_programs(
    command: Callable[..., Any], texts: dict[str, Any], early: str
) -> None:
    told = command(SHIPPED, early, "--limit", "1")
    assert told.exit_code == 0, told.stderr
    assert (
        f"{2 * len(HOURS)} messages, judged {2 * len(HOURS)} times, again under {SHIPPED} and {early}:" in told.stdout
    )
    assert "       4  ALLOW -> HOLD quiet_hours" in told.stdout
    assert "and 3 more" in told.stdout
    found = json.loads(command(SHIPPED, early, "--json", "--since", "2026-03-01").stdout)
    assert (found["a"], found["b"], found["messages"], found["alike"]) == (
        SHIPPED, early, 2 * len(HOURS), 2 * len(HOURS) - len(EVENING),
    )  # fmt: skip
    [group] = found["changed"]
    assert (group["a"], group["b"], group["messages"]) == ("ALLOW", "HOLD quiet_hours", len(EVENING))
    assert found["not_judged"] == []


def test_a_pack_that_cannot_be_read_is_told_with_its_part_and_its_day(
    command: Callable[..., Any], texts: dict[str, Any], changed: Changed, tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text("version: [", encoding="utf-8")
    for pack, said in (
        ("2031-01-01", "no policy pack 2031-01-01 (No such file or directory); give a file, or one of those"),
        (str(tmp_path / "broken.yaml"), "policy pack broken.yaml is no YAML"),
        (str(changed("a.yaml", without="dnc")), "policy pack a.yaml: dnc is missing on 2026-03-03"),
        (
            str(changed("b.yaml", consent={"effective_from": datetime(2026, 3, 4, tzinfo=UTC).date()})),
            "policy pack b.yaml: consent is missing on 2026-03-03",
        ),
        (
            str(changed("c.yaml", dnc={"file_days": "a month"})),
            "policy pack c.yaml: part dnc cannot be read on 2026-03-03",
        ),
    ):
        result = command(SHIPPED, pack)
        assert (result.exit_code, result.stdout) == (2, ""), pack
        assert said in result.stderr
