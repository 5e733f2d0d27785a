"""Files of consents: what each line becomes by what it proves, and what the ledger then holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from leadpipe.cli.main import app
from leadpipe.clock import FixedClock
from leadpipe.consents.held import Held, held
from leadpipe.consents.importing import import_file
from leadpipe.consents.mapping import read_mapping
from leadpipe.consents.report import Imported, Told
from leadpipe.errors import ConfigurationError, Rejected
from leadpipe.messaging import suppression
from leadpipe.messaging.cases import Subject
from leadpipe.messaging.gate import judge
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

PHONE, EMAIL = "+15125550101", "ana@example.com"
PROOF = {
    "level": "pewc", "signer": "Ana A", "number": "512-555-0101", "seller": "Demo Realty",
    "disclosure": "I agree to automated texts from Demo Realty", "purpose": "marketing texts",
    "at": "2026-03-01T10:00:00", "ip": "192.0.2.1",
}  # fmt: skip
BODY = (
    "Hi, this is the automated assistant for Demo Realty. Still looking to buy? Reply STOP to opt out. "
    "https://demo-realty.example/iabs"
)


@pytest.fixture
def ana(ledger_engine: Engine, clock: FixedClock) -> int:
    """Person 1, who came 200 days ago, with a phone and an email; returns the phone's contact point."""
    return _person(ledger_engine, 1, clock.now() - timedelta(days=200), PHONE, EMAIL)


def _person(engine: Engine, person_id: int, came_at: datetime, *addresses: str) -> int:
    ids: list[int] = []
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.people (person_id, place, crm_created_at, crm_updated_at, first_seen_at, "
                "refreshed_at) values (:id, cast(:place as jsonb), :at, :at, :at, :at)"
            ),
            {"id": person_id, "at": came_at, "place": '{"zip": "78701", "state": "TX"}'},
        )
        for address in addresses:
            ids.append(
                connection.execute(
                    text(
                        "insert into ledger.contact_points (kind, address, created_at) values (:kind, :address, :at) "
                        "on conflict (kind, address) do update set kind = excluded.kind returning id"
                    ),
                    {"kind": "email" if "@" in address else "phone", "address": address, "at": came_at},
                ).scalar_one()
            )
            connection.execute(
                text("insert into ledger.person_contact_points (person_id, contact_point_id) values (:id, :point)"),
                {"id": person_id, "point": ids[-1]},
            )
    return ids[0]


@dataclass
class Files:
    """Imports rows as a CSV file and tells what came of it."""

    engine: Engine
    settings: Settings
    clock: FixedClock
    folder: Path

    def write(self, *rows: dict[str, str]) -> Path:
        path = self.folder / "consents.csv"
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [names, *([row.get(name, "") for name in names] for row in rows)]
        path.write_text("\n".join(",".join(f'"{value}"' for value in line) for line in lines) + "\n")
        return path

    def take(
        self, *rows: dict[str, str], columns: dict[str, str] | None = None, mapping: str = "", is_dry_run: bool = False
    ) -> tuple[Imported, list[Told]]:
        return self.take_file(self.write(*rows), columns=columns, mapping=mapping, is_dry_run=is_dry_run)

    def take_file(
        self, path: Path, *, columns: dict[str, str] | None = None, mapping: str = "", is_dry_run: bool = False
    ) -> tuple[Imported, list[Told]]:
        map_path = self.folder / "map.yaml" if mapping else None
        if map_path is not None:
            map_path.write_text(mapping)
        told: list[Told] = []
        report = import_file(
            self.engine,
            path,
            read_mapping(map_path, columns or {}, timezone=self.settings.team_timezone),
            brokerage_name=self.settings.brokerage_name,
            now=self.clock.now(),
            is_dry_run=is_dry_run,
            on_told=told.append,
        )
        return report, told

    def rows(self, table: str = "consents") -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(f"select * from ledger.{table} order by id")))

    def held(self, person_id: int = 1) -> list[Held]:
        with self.engine.connect() as connection:
            return held(connection, person_id, settings=self.settings, now=self.clock.now())


@pytest.fixture
def files(ledger_engine: Engine, settings: Settings, clock: FixedClock, tmp_path: Path) -> Files:
    return Files(ledger_engine, settings, clock, tmp_path)


def test_a_bare_yes_is_an_inquiry_as_old_as_the_person(files: Files, ana: int, clock: FixedClock) -> None:
    report, told = files.take({"phone": "(512) 555-0101", "sms_ok": "Y"})
    [row] = files.rows()
    assert (row.person_id, row.contact_point_id, row.channel, row.level) == (1, ana, "sms", "inquiry")
    assert row.at == clock.now() - timedelta(days=200), "an import makes no consent younger than it is"
    assert row.evidence["time"] == "unknown"
    assert dict(report.outcomes) == {"inquiry": 1}
    assert told[0].words() == "line 2, sms: inquiry of person 1"
    assert files.held()[0].worth == "none", "an inquiry of 200 days ago carries nothing any more"


def test_written_consent_with_all_its_proof_is_one_and_lets_a_text_go(
    files: Files, ana: int, settings: Settings, clock: FixedClock
) -> None:
    files.take({"phone": PHONE, "sms_ok": "yes", **PROOF})
    [row] = files.rows()
    assert (row.level, row.scope, row.seller, row.contact_point_id) == ("pewc", "marketing", "ours", ana)
    assert row.at == datetime(2026, 3, 1, 16, 0, tzinfo=UTC), "without a zone it is the team's: 10:00 in Chicago"
    assert row.evidence["disclosure"] == PROOF["disclosure"]
    assert files.held()[0].worth == "pewc"
    subject = Subject(
        message_id="m", person_id=1, contact_point_id=ana, plan="p", step="s", channel="sms", purpose="marketing",
        subject="", body=BODY, is_model_written=False,
    )  # fmt: skip
    ready = settings.model_copy(update={"a2p_campaign_id": "CM", "sms_disabled_states": ()})
    with files.engine.connect() as connection:
        [verdict] = judge(connection, [subject], now=clock.now(), settings=ready)
    assert verdict.decision == "ALLOW"
    assert verdict.consent_id == row.id


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("signer", "signer"),
        ("number", "number"),
        ("seller", "seller"),
        ("disclosure", "disclosure or capture_id"),
        ("purpose", "purpose"),
        ("at", "time"),
        ("ip", "ip or message_id"),
    ],
)
def test_written_consent_without_a_part_of_its_proof_is_an_inquiry_and_the_part_is_named(
    files: Files, ana: int, without: str, missing: str
) -> None:
    _, told = files.take({"phone": PHONE, "sms_ok": "yes", **{**PROOF, without: ""}})
    assert (told[0].outcome, told[0].asked, told[0].why) == ("inquiry", "pewc", f"missing: {missing}")
    [row] = files.rows()
    assert (row.level, row.scope) == ("inquiry", "inquiry")
    assert row.evidence["asked"] == "pewc"
    assert told[0].words() == f"line 2, sms: inquiry of person 1, the file says pewc; missing: {missing}"


@pytest.mark.parametrize("instead", [{"disclosure": "", "capture_id": "cap-7"}, {"ip": "", "message_id": "SM7"}])
def test_a_capture_or_a_message_proves_as_well(files: Files, ana: int, instead: dict[str, str]) -> None:
    report, _ = files.take({"phone": PHONE, "sms_ok": "1", **PROOF, **instead})
    assert dict(report.outcomes) == {"pewc": 1}


def test_words_in_place_of_a_number_prove_nothing(files: Files, ana: int) -> None:
    _, told = files.take({"phone": PHONE, "sms_ok": "yes", **PROOF, "number": "as given"})
    assert told[0].why == "missing: number"


def test_consent_to_another_seller_is_at_most_an_inquiry(files: Files, ana: int) -> None:
    _, told = files.take({"phone": PHONE, "sms_ok": "yes", **PROOF, "seller": "Portal and its partners"})
    assert (told[0].outcome, told[0].why) == ("inquiry", "it names another seller than us")
    assert files.rows()[0].seller == "Portal and its partners"


def test_another_purpose_reaches_no_marketing(files: Files, ana: int) -> None:
    files.take({"phone": PHONE, "sms_ok": "yes", **PROOF, "purpose": "Appointment reminders"})
    assert files.rows()[0].scope == "appointment reminders"


@pytest.mark.parametrize(
    ("more", "level"),
    [
        ({}, "inquiry"),
        ({"at": "2026-03-01"}, "inquiry"),
        ({"at": "2026-03-01", "message_id": "SM1"}, "express"),
    ],
)
def test_an_express_yes_needs_when_and_how(files: Files, ana: int, more: dict[str, str], level: str) -> None:
    files.take({"phone": PHONE, "channel": "whatsapp", "level": "express", **more})
    assert [(row.channel, row.level) for row in files.rows()] == [("whatsapp", level)]


def test_a_line_may_say_yes_to_some_channels_and_no_to_others(files: Files, ana: int) -> None:
    report, _ = files.take(
        {"person_id": "1", "sms_ok": "Y", "email_ok": "x", "whatsapp_ok": "N"},
        {"person_id": "1", "sms_ok": "no", "email_ok": "", "whatsapp_ok": "0"},
    )
    assert [(row.channel, row.contact_point_id) for row in files.rows()] == [("sms", None), ("email", None)]
    assert dict(report.outcomes) == {"inquiry": 2, "said_no": 1}


@pytest.mark.parametrize("who", [{"email": EMAIL}, {"person_id": "1", "email": EMAIL}])
def test_a_person_may_be_found_by_an_address_of_another_kind(files: Files, ana: int, who: dict[str, str]) -> None:
    _, told = files.take({**who, "sms_ok": "Y"}, {**who, "channel": "whatsapp", "level": "express", "at": "2026-03-01",
                                                  "message_id": "W1"})  # fmt: skip
    assert [(row.channel, row.level, row.contact_point_id) for row in files.rows()] == [
        ("sms", "inquiry", None),
        ("whatsapp", "inquiry", None),
    ]
    assert told[1].why == "missing: the number or address it is for"


@pytest.mark.parametrize(
    ("who", "point"),
    [({"person_id": "1"}, None), ({"email": EMAIL}, EMAIL), ({"phone": PHONE, "email": EMAIL}, PHONE)],
)
def test_consent_to_all_channels_is_the_persons_or_their_address_s(
    files: Files, ana: int, who: dict[str, str], point: str | None
) -> None:
    files.take({**who, "channel": "all"})
    [row] = files.rows()
    with files.engine.connect() as connection:
        address = connection.execute(
            text("select address from ledger.contact_points where id = :id"), {"id": row.contact_point_id}
        ).scalar()
    assert (row.channel, address) == ("all", point)


def test_a_mapping_names_columns_constants_times_and_words(files: Files, ana: int) -> None:
    files.take(
        {"Mobile": PHONE, "Text OK?": "J", "Signed": "02/28/2026"},
        mapping='columns: {phone: Mobile, sms_ok: "text ok?", at: Signed}\nconstants: {source: old_crm}\n'
        'timezone: America/New_York\ntime_format: "%m/%d/%Y"\nyes_words: [J]\n',
    )
    [row] = files.rows()
    assert (row.source, row.at) == ("old_crm", datetime(2026, 2, 28, 5, 0, tzinfo=UTC))


def test_a_dry_run_tells_what_each_line_would_become_and_stores_nothing(files: Files, ana: int) -> None:
    rows = ({"phone": PHONE, "sms_ok": "Y"}, {"phone": "nonsense", "sms_ok": "Y"}, {"phone": PHONE, "sms_ok": "Y"})
    dry, told = files.take(*rows, is_dry_run=True)
    assert [each.outcome for each in told] == ["inquiry", "unreadable", "known"]
    assert (files.rows(), files.rows("quarantine"), files.rows("acts")) == ([], [], [])
    wet, _ = files.take(*rows)
    assert dry.outcomes == wet.outcomes
    assert dry.sha256 == wet.sha256


def test_the_same_file_again_adds_nothing(files: Files, ana: int) -> None:
    rows = ({"phone": PHONE, "sms_ok": "Y", **PROOF}, {"email": EMAIL, "sms_ok": "", "email_ok": "Y"}, {"phone": "?"})
    files.take(*rows)
    before, aside = files.rows(), files.rows("quarantine")
    report, _ = files.take(*rows)
    assert files.rows() == before
    assert files.rows("quarantine") == aside
    assert report.outcomes["known"] == 2


def test_an_import_restores_nobody_who_refused_unless_the_consent_is_newer(
    files: Files, ana: int, clock: FixedClock
) -> None:
    with files.engine.begin() as connection:
        suppression.suppress(
            connection, contact_point_id=ana, channels=suppression.PHONE_CHANNELS, source="stop_keyword",
            at=datetime(2026, 3, 1, 17, 0, tzinfo=UTC), now=clock.now(),
        )  # fmt: skip
    _, [older] = files.take({"phone": PHONE, "sms_ok": "Y", **PROOF})
    _, [bare] = files.take({"phone": PHONE, "sms_ok": "Y", "at": "2026-03-02T09:00:00"})
    _, [newer] = files.take({"phone": PHONE, "sms_ok": "Y", **PROOF, "at": "2026-03-02T09:00:00"})
    assert [each.effect for each in (older, bare, newer)] == ["overruled", "overruled", "lifts"]
    assert "restores nothing" in older.words()
    assert [each.refused_at is None for each in files.held()] == [False, True, True]


def test_a_fact_about_a_number_is_lifted_by_no_consent(files: Files, ana: int, clock: FixedClock) -> None:
    with files.engine.begin() as connection:
        suppression.suppress(
            connection, contact_point_id=ana, channels=("sms",), source="carrier_30005",
            at=datetime(2026, 2, 1, tzinfo=UTC), now=clock.now(),
        )  # fmt: skip
    _, [told] = files.take({"phone": PHONE, "sms_ok": "Y", **PROOF})
    assert told.effect == "overruled"


def test_whom_the_ledger_does_not_know_is_counted_and_nobody_else_gets_it(
    files: Files, ana: int, clock: FixedClock
) -> None:
    _person(files.engine, 2, clock.now(), "+15125550102", "shared@example.com")
    _person(files.engine, 3, clock.now(), "+15125550103", "shared@example.com")
    with files.engine.begin() as connection:
        suppression.wrong_number(
            connection, contact_point_id=ana, source="wrong_number", at=clock.now(), now=clock.now()
        )
    report, told = files.take(
        {"phone": "+15125559999", "channel": "sms"},
        {"person_id": "77", "channel": "sms"},
        {"phone": PHONE, "channel": "sms"},
        {"person_id": "2", "phone": "+15125550103", "channel": "sms"},
        {"email": "shared@example.com", "channel": "email"},
        {"person_id": "3", "email": "shared@example.com", "channel": "email"},
    )
    assert [each.outcome for each in told] == ["stranger", "stranger", "not_theirs", "not_theirs", "shared", "inquiry"]
    assert [row.person_id for row in files.rows()] == [3]
    assert report.count_lines == 6


def test_lines_that_cannot_be_read_are_kept_aside_and_named_without_what_they_hold(
    files: Files, ana: int, tmp_path: Path
) -> None:
    path = tmp_path / "odd.csv"
    lines = [
        b"phone,sms_ok,at,level",
        b"+15125550101,Y,,",
        b"+15125550101,perhaps,,",
        b"+15125550101,Y,yesterday,",
        b"+15125550101,Y,2199-01-01,",
        b"+15125550101,Y,,certainly",
        b"+15125550101,Y",
        b"\xff\xfe15125550101,Y,,",
        b"",
        b"secret words,Y,,",
        b",Y,,",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n")
    report, told = files.take_file(path)
    said = {each.line: each.why for each in told if each.outcome == "unreadable"}
    assert report.outcomes == {"inquiry": 1, "unreadable": 8}
    assert said == {
        3: "sms_ok says 'perhaps', which is neither yes nor no",
        4: "at is no time of the form ISO (2025-11-24T14:05:00); a mapping's time_format says another",
        5: "its time lies ahead",
        6: "level 'certainly' is none of inquiry, express, pewc",
        7: "has 2 fields where the header has 4",
        8: "is no UTF-8 text",
        10: "phone holds no telephone number",
        11: "names nobody: no person_id, phone or email",
    }
    kept = files.rows("quarantine")
    assert {row.source for row in kept} == {"consents_csv"}
    assert sorted(int(row.record_key.partition(":")[2]) for row in kept) == sorted(said)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"phone": "Mobil"}, "has no column 'Mobil' for phone, it has Mobile, OK"),
        ({"phone": "Mobile"}, "no column says to what"),
        ({"sms_ok": "OK"}, "no column says who agreed"),
    ],
)
def test_a_file_that_does_not_fit_its_mapping_is_refused(files: Files, columns: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        files.take({"Mobile": PHONE, "OK": "Y"}, columns=columns)
    assert says in str(caught.value)
    assert files.rows("acts") == []


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("column: {phone: x}\n", "column is not known"),
        ("columns: {fone: x}\n", "fone is no field"),
        ("timezone: Texas\n", "'Texas' is no IANA zone"),
        ("[1", "cannot be read as YAML"),
    ],
)
def test_a_mapping_that_says_what_there_is_not_is_refused(files: Files, mapping: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        files.take({"phone": PHONE, "sms_ok": "Y"}, mapping=mapping)
    assert says in str(caught.value)


def test_an_import_is_an_act_with_counts_and_no_contact_detail(files: Files, ana: int) -> None:
    report, _ = files.take({"phone": PHONE, "sms_ok": "Y", **PROOF, "ip": ""}, {"phone": "+15125559999", "sms_ok": "Y"})
    [act] = files.rows("acts")
    assert act.kind == "consents"
    assert (
        act.detail["import"]
        == report.as_json()
        == {
            "sha256": report.sha256,
            "is_dry_run": False,
            "lines": 2,
            "outcomes": {"inquiry": 1, "stranger": 1},
            "downgraded": {"missing: ip or message_id": 1},
            "effects": {},
        }
    )
    assert "555" not in json.dumps(act.detail).replace(report.sha256, "")


def test_the_command_imports_and_lists(
    files: Files, ana: int, monkeypatch: pytest.MonkeyPatch, as_environment: Callable[[], None]
) -> None:
    as_environment()
    path = files.write({"Mobile": PHONE, "OK": "Y"}, {"Mobile": "nonsense", "OK": "Y"})
    run = CliRunner()
    options = ["--column", "phone=Mobile", "--column", "sms_ok=OK"]
    dry = run.invoke(app, ["consents", "import", str(path), *options, "--dry-run"])
    assert dry.exit_code == 1, "one line could not be read"
    assert "line 2, sms: inquiry of person 1" in dry.stdout
    assert "2 lines; would be stored: 1 inquiry" in dry.stdout
    assert f"{path} line 3: phone holds no telephone number" in dry.stderr
    assert PHONE not in dry.output
    wet = run.invoke(app, ["consents", "import", str(path), *options, "--json"])
    assert json.loads(wet.stdout)["outcomes"] == {"inquiry": 1, "unreadable": 1}
    listed = run.invoke(app, ["consents", "list", "1"])
    assert "sms inquiry, worth none today" in listed.stdout
    assert json.loads(run.invoke(app, ["consents", "list", "1", "--json"]).stdout)[0]["level"] == "inquiry"
    assert run.invoke(app, ["consents", "list", "5"]).exit_code == 2
    assert run.invoke(app, ["consents", "import", str(path), "--column", "fone=x"]).exit_code == 2


@pytest.mark.parametrize(("named", "worth"), [(PHONE, "pewc"), ("+12125550177", "inquiry")])
def test_a_listed_consent_is_worth_what_the_gate_takes_it_for(
    ledger_engine: Engine, files: Files, ana: int, clock: FixedClock, named: str, worth: str
) -> None:
    proof = {"signer": "Ana", "seller": "ours", "disclosure": "shown", "ip": "192.0.2.1", "number": named}
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.consents (person_id, contact_point_id, channel, level, scope, seller, source, at, "
                "evidence, recorded_at, dedupe_key) select 1, id, 'sms', 'pewc', 'marketing', 'ours', 'web_form', :at, "
                "cast(:proof as jsonb), :at, 'signed' from ledger.contact_points where address = :phone"
            ),
            {"at": clock.now() - timedelta(days=3), "proof": json.dumps(proof), "phone": PHONE},
        )
    assert [one.worth for one in files.held()] == [worth]


def test_of_somebody_unknown_there_is_nothing_to_list(files: Files) -> None:
    with pytest.raises(Rejected, match="knows no person 1"):
        files.held()


@pytest.fixture
def as_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function that makes the process's environment that of the test's settings."""

    def put() -> None:
        for name in ("home", "database_url", "lake_path", "brokerage_name", "postal_address"):
            monkeypatch.setenv(f"LEADPIPE_{name.upper()}", str(getattr(settings, name)))

    return put
