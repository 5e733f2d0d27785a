"""Groups of new leads beside all of them (C37): what is counted, what is beyond chance, and what is withheld."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from leadpipe.cli import main
from leadpipe.clock import FixedClock
from leadpipe.crm.inquiries import Inquiry, store_inquiries
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.errors import BadRecord
from leadpipe.monitoring.fairness import FEWEST, TRAITS, Grouping, compare, trait_of_file, whole
from leadpipe.monitoring.fairness_leads import Lead, read_leads
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from tests.monitoring.conftest import Rows

BEGIN, END = datetime(2026, 1, 1, 6, tzinfo=UTC), datetime(2026, 4, 1, 5, tzinfo=UTC)


def lead(language: str = "en", *, zip_code: str = "78701", seconds: float | None = 40.0, **more: Any) -> Lead:
    values: dict[str, Any] = {"source": "Website", "has_replied": False, "is_handed_off": False} | more
    return Lead(language=language, zip=zip_code, touch_seconds=seconds, **values)


def by_language(leads: list[Lead]) -> Grouping:
    return compare(leads, "language", TRAITS["language"])


def waits(count: int, typical: float) -> list[float]:
    return [typical * (0.5 + number / count) for number in range(count)]


def test_a_group_that_waits_longer_and_is_reached_less_is_marked() -> None:
    leads = [lead(seconds=seconds) for seconds in waits(300, 40)]
    leads += [lead("es", seconds=seconds) for seconds in waits(60, 90)] + [lead("es", seconds=None)] * 20
    english, spanish = by_language(leads).groups
    assert (english.name, english.leads, spanish.name, spanish.leads) == ("en", 300, "es", 80)
    touch, reached = spanish.measures["first_touch_seconds"], spanish.measures["contacted"]
    every = whole(leads)
    assert (touch.of, reached.of) == (60, 80)
    assert touch.value == pytest.approx(90, abs=1)
    assert touch.difference == pytest.approx(touch.value - every["first_touch_seconds"].value)
    assert reached.value == 0.75
    assert reached.difference == pytest.approx(0.75 - 360 / 380)
    for measure in (touch, reached):
        assert measure.low < measure.difference < measure.high
        assert measure.is_unlike
    assert reached.high < 0 < touch.low


def test_chance_alone_is_not_marked() -> None:
    leads = [lead(seconds=seconds) for seconds in waits(200, 40)]
    leads += [lead("es", seconds=seconds) for seconds in waits(60, 41)]
    for group in by_language(leads).groups:
        for measure in group.measures.values():
            assert not measure.is_unlike
            if measure.difference is not None:
                assert measure.low <= 0 <= measure.high


def test_many_comparisons_make_no_false_alarm() -> None:
    """Of 60 alike areas one is uncommon by chance; corrected for their number none is marked."""
    leads = [
        lead(zip_code=f"{100 + area}01", seconds=40.0, has_replied=number < (9 if area == 0 else 4))
        for area in range(60)
        for number in range(FEWEST)
    ]
    groups = compare(leads, "zip3", TRAITS["zip3"]).groups
    assert len(groups) == 60
    assert [group.name for group in groups if group.measures["replied"].is_unlike] == []
    [odd] = [group for group in groups if group.name == "100"]
    assert odd.measures["replied"].value == 0.3
    assert odd.measures["replied"].low > 0


@pytest.mark.parametrize(
    ("sizes", "shown", "withheld"),
    [
        ({"en": 100, "es": 30}, ["en", "es"], (0, 0)),
        ({"en": 100, "es": 29}, [], (2, 129)),
        ({"en": 100, "es": 40, "xx": 29}, ["en"], (2, 69)),
        ({"en": 100, "xx": 20, "yy": 20}, ["en"], (2, 40)),
        ({"en": 29}, [], (1, 29)),
        ({}, [], (0, 0)),
    ],
    ids=["large ones", "alone it could be counted back", "so the next goes with it", "two small ones", "few", "nobody"],
)
def test_small_groups_are_withheld_and_cannot_be_counted_back(
    sizes: dict[str, int], shown: list[str], withheld: tuple[int, int]
) -> None:
    found = by_language([lead(language) for language, count in sizes.items() for _ in range(count)])
    assert [group.name for group in found.groups] == shown
    assert (found.withheld_groups, found.withheld_leads) == withheld


def test_of_few_cases_inside_a_group_nothing_is_said() -> None:
    found = by_language([lead(has_replied=number < 10) for number in range(40)] + [lead("es")] * 40)
    english, spanish = (group.measures["handed_off"] for group in sorted(found.groups, key=lambda group: group.name))
    assert (english.of, english.value, english.p_value) == (10, None, None)
    assert (spanish.of, spanish.value) == (0, None)


def test_a_file_of_ones_own_makes_groups_and_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "areas.csv"
    file.write_text("\ufeffgroup,zip,note\nnorth,78701,x\nsouth,606,\n", encoding="utf-8")
    trait = trait_of_file(file)
    file.unlink()
    found = [trait(lead(zip_code=code)) for code in ("78701", "78702", "60614", "")]
    assert found == ["north", "not in the file", "south", "unknown"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("code,group\n78701,a\n", "must name the columns zip and group"),
        ("zip,group\n7870,a\n", "line 2: wanted a ZIP code"),
        ("zip,group\n78701,\n", "line 2: wanted a ZIP code"),
        ("zip,group\n78701,a\n78701,b\n", "line 3: the same ZIP code"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, words: str | None, said: str) -> None:
    file = tmp_path / "areas.csv"
    if words is not None:
        file.write_text(words)
    with pytest.raises(BadRecord, match=said):
        trait_of_file(file)


@pytest.fixture
def arrive(ledger_engine: Engine) -> Callable[..., None]:
    """A function that stores a new lead who came at a moment, maybe with words of their own."""

    def store(person_id: int, at: datetime, *, words: str = "", is_new: bool = True, **payload: Any) -> None:
        raw = {
            "id": person_id, "created": at.isoformat(), "updated": at.isoformat(), "source": "Zillow",
            "emails": [{"value": f"lead{person_id}@example.com"}], "addresses": [{"code": "78701", "state": "TX"}],
        }  # fmt: skip
        upsert_people(ledger_engine, [read_person(raw | payload)], now=at)
        if words:
            inquiry = Inquiry(event_id=person_id, person_id=person_id, type="Inquiry", source="Zillow", message=words,
                              property={}, occurred_at=at)  # fmt: skip
            store_inquiries(ledger_engine, [inquiry], now=at)
        with ledger_engine.begin() as connection:
            connection.execute(
                text("update ledger.people set is_new_lead = :is_new where person_id = :id"),
                {"is_new": is_new, "id": person_id},
            )

    return store


MESSAGE = (
    "insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel, purpose, body, "
    "state, due_at, created_at, changed_at, accepted_at) select gen_random_uuid(), person_id, contact_point_id, "
    "'new_lead', 'first', 1, 'email', 'inquiry_response', 'Hi', 'accepted', :at, :at, :at, :at "
    "from ledger.person_contact_points where person_id = :person"
)
REPLY = (
    "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, person_id, body, received_at, "
    "is_auto_reply) select 'email', gen_random_uuid()::text, contact_point_id, person_id, 'Yes', :at, :auto "
    "from ledger.person_contact_points where person_id = :person"
)
HANDED = "insert into ledger.handoffs (person_id, reason, opened_at) values (:person, 'asked', :at)"
CALLED = (
    "insert into ledger.human_actions (person_id, kind, crm_id, at, recorded_at) "
    "values (:person, :kind, :kind || :person, :at, :at)"
)


def test_a_lead_is_read_with_what_came_of_it(ledger_engine: Engine, rows: Rows, arrive: Callable[..., None]) -> None:
    at = BEGIN + timedelta(days=10)
    minute = timedelta(minutes=1)
    arrive(1, at, words="Hola, quisiera ver la casa por favor, gracias")
    rows.run(MESSAGE, person=1, at=at + minute)
    rows.run(REPLY, person=1, at=at + 5 * minute, auto=False)
    rows.run(HANDED, person=1, at=at + 6 * minute)
    # A call came first; an automatic answer is no reply, and who was handed over without one is not counted among them.
    arrive(2, at, customLanguage="Spanish")
    rows.run(CALLED, person=2, kind="note", at=at + minute)
    rows.run(CALLED, person=2, kind="call", at=at + 2 * minute)
    rows.run(MESSAGE, person=2, at=at + 3 * minute)
    rows.run(REPLY, person=2, at=at + 4 * minute, auto=True)
    rows.run(HANDED, person=2, at=at + 5 * minute)
    # Nobody answered, and what was sent before they asked is no answer.
    arrive(3, at, words="Is it still for sale?", addresses=[])
    rows.run(MESSAGE, person=3, at=at - minute)
    # Merged into the first, erased, no new lead, of another quarter.
    arrive(4, at)
    rows.run("update ledger.people set merged_into = 1 where person_id = 4")
    arrive(5, at)
    rows.run("update ledger.people set erased_at = :now where person_id = 5")
    arrive(6, at, is_new=False)
    arrive(7, BEGIN - minute)
    with ledger_engine.connect() as connection:
        found = read_leads(connection, begin=BEGIN, end=END)
    common = {"source": "Zillow"}
    assert found == [
        lead("es", seconds=60.0, has_replied=True, is_handed_off=True, **common),
        lead("es", seconds=120.0, **common),
        lead("en", seconds=None, zip_code="", **common),
    ]


def test_who_asks_anew_counts_in_that_quarter_and_a_merged_records_answer_counts(
    ledger_engine: Engine, rows: Rows, arrive: Callable[..., None]
) -> None:
    at = BEGIN + timedelta(days=10)
    arrive(1, BEGIN - timedelta(days=40))
    arrive(2, at, words="Can I see it?")
    rows.run(MESSAGE, person=2, at=at + timedelta(seconds=50))
    rows.run("update ledger.people set merged_into = 1 where person_id = 2")
    with ledger_engine.connect() as connection:
        (found,) = read_leads(connection, begin=BEGIN, end=END)
        (before,) = read_leads(connection, begin=BEGIN - timedelta(days=90), end=BEGIN)
    assert found.touch_seconds == 50.0
    assert before.touch_seconds == pytest.approx(timedelta(days=50, seconds=50).total_seconds())


@pytest.fixture
def command(settings: Settings, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that runs ``leadpipe fairness report`` on this test's ledger."""

    def opened(**_: Any) -> Runtime:
        made = Runtime(settings)
        made.__dict__["clock"] = clock
        return made

    def run(*words: str) -> Any:
        monkeypatch.setattr("leadpipe.runtime.open_runtime", opened)
        return CliRunner().invoke(main.app, ["fairness", "report", *words])

    return run


def test_the_command_prints_tables_for_people_and_json_for_programs(
    command: Callable[..., Any], arrive: Callable[..., None], rows: Rows, tmp_path: Path
) -> None:
    for number in range(70):
        at = BEGIN + timedelta(days=1, minutes=number)
        arrive(number + 1, at, customLanguage="es" if number < 35 else "en", source=f"S{number % 7}")
        if number >= 35 or number % 2:
            rows.run(MESSAGE, person=number + 1, at=at + timedelta(seconds=45))
    areas = tmp_path / "areas.csv"
    areas.write_text("zip,group\n787,the centre\n")
    found = json.loads(command("--quarter", "2026q1", "--groups", str(areas), "--json").stdout)
    assert (found["quarter"], found["begin_at"], found["whole"]["leads"]) == ("2026Q1", "2026-01-01T00:00:00-06:00", 70)
    by = {each["by"]: each for each in found["by"]}
    assert list(by) == ["language", "zip3", "source", "file"]
    spanish = next(each for each in by["language"]["groups"] if each["group"] == "es")
    assert (spanish["contacted"]["value"], spanish["contacted"]["is_unlike"]) == (17 / 35, True)
    assert by["source"] == {"by": "source", "groups": [], "withheld": {"groups": 7, "leads": 70}}
    assert [each["group"] for each in by["file"]["groups"]] == ["the centre"]

    told = command("--quarter", "2026Q1")
    assert told.exit_code == 0, told.stderr
    assert "2026Q1, which is not over: 70 new leads" in told.stdout
    assert "48.6 % (-25.7 %; " in told.stdout
    assert "withheld: 70 leads in 7 groups too small to tell of" in told.stdout
    assert "lead1@" not in told.stdout


def test_the_last_quarter_that_is_over_is_told_by_itself_and_a_wrong_one_refused(command: Callable[..., Any]) -> None:
    assert command().stdout.startswith("2025Q4: 0 new leads\nFewer than 30 leads say nothing")
    wrong = command("--quarter", "2026Q5")
    assert wrong.exit_code == 2
    assert "is no quarter; write 2026Q4" in wrong.stderr
