"""The doctor against a system that is right in every point, with one thing wrong at a time."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from leadpipe import readiness
from leadpipe.cli import checks_crm, checks_machine, checks_senders, checks_stores, checks_twilio
from leadpipe.cli.doctor import every_check, examine, server_as_found
from leadpipe.cli.finding import Finding
from leadpipe.cli.main import app
from leadpipe.cli.supervisor import STATE_FILE, supervising
from leadpipe.clock import set_offset
from leadpipe.crm import custom_fields, webhooks
from leadpipe.messaging import content_template, switch
from leadpipe.runtime import Runtime
from leadpipe.sandbox.control import SandboxControl
from leadpipe.settings import Sending, Settings
from leadpipe.store import dbt, extensions, ledger
from leadpipe.store.server import EmbeddedServer

SECRETS = {"fub_api_key", "fub_system_key", "twilio_auth_token", "openai_api_key", "unsubscribe_secret",
           "fub_webhook_token"}  # fmt: skip


def changed(settings: Settings, **changes: Any) -> Settings:
    secret = {name: SecretStr(value) if name in SECRETS else value for name, value in changes.items()}
    return settings.model_copy(update=secret)


def diagnose(settings: Settings, *checks: Callable[[Runtime], Finding]) -> list[Finding]:
    runtime = Runtime(settings)
    try:
        return examine(runtime, list(checks) or every_check())
    finally:
        runtime.close()


def the_one(settings: Settings, check: Callable[[Runtime], Finding]) -> Finding:
    (finding,) = diagnose(settings, check)
    return finding


def assert_wrong(finding: Finding, *, says: str, cure: str) -> None:
    assert finding.state == "wrong", finding
    assert says in finding.words
    assert cure in finding.cure


# all is right


def test_doctor_exits_0_and_finds_nothing_wrong_when_all_is_right(right_settings: Settings) -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "WRONG" not in done.output
    assert len([line for line in done.output.splitlines() if line.startswith(("ok", "note"))]) == len(every_check())
    assert right_settings.home.exists()


def test_doctor_exits_1_with_one_wrong_line_and_its_cure_when_one_thing_is_wrong(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_POSTAL_ADDRESS", "")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if line.startswith("WRONG")]
    assert "LEADPIPE_POSTAL_ADDRESS" in line
    assert "-> set them in .env" in line


def test_doctor_as_json_is_read_by_a_program(right_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_A2P_CAMPAIGN_ID", "")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(done.output)
    assert (done.exit_code, found["ok"]) == (1, False)
    assert [row["check"] for row in found["checks"] if row["state"] == "wrong"] == ["SMS campaign"]


def test_settings_that_cannot_be_read_end_doctor_with_2_and_name_the_setting(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_CAP_PER_DAY", "many")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "LEADPIPE_CAP_PER_DAY" in done.output


def test_no_secret_is_printed_whatever_is_wrong(right_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    del right_settings
    wrong = {
        "LEADPIPE_FUB_API_KEY": "fka_secret_one",
        "LEADPIPE_FUB_SYSTEM_KEY": "secret-two",
        "LEADPIPE_TWILIO_AUTH_TOKEN": "secret-three",
        "LEADPIPE_OPENAI_API_KEY": "sk-secret-four",
        "LEADPIPE_DATABASE_URL": "postgresql://leadpipe:secret-five@127.0.0.1:1/leadpipe",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "secret" not in done.output.replace("LEADPIPE_UNSUBSCRIBE_SECRET", "").replace("_SECRET_ACCESS_KEY", "")


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(right_settings: Settings) -> None:
    def broken(_: Runtime) -> Finding:
        raise KeyError("surprise")

    first, second = diagnose(right_settings, broken, checks_machine.disk)
    assert_wrong(first, says="KeyError", cure="report it")
    assert second.state == "ok"


def test_a_server_that_was_down_is_down_afterwards_unless_somebody_came_to_use_it(server_home: Path) -> None:
    home = server_home / "homes" / "doctors"
    settings = Settings.model_construct(home=home, database_url=None)
    server = EmbeddedServer(home)
    try:
        server.ensure_running()
        with server_as_found(settings):
            assert the_one(settings, checks_stores.database).state == "ok"
        assert server.status().is_running, "it ran before"
        server.stop()
        with server_as_found(settings):
            assert the_one(settings, checks_stores.database).state == "ok"
        assert not server.status().is_running
        with server_as_found(settings):
            url = server.ensure_running()
            shell = psycopg.connect(url)
        assert shell.execute("select 1").fetchone() == (1,)
        shell.close()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


# the machine and the settings


def test_a_package_in_another_version_is_named_with_the_wanted_one(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_machine.metadata, "requires", lambda _: ["dagster==1.0.0", "no-such-package"])
    found = the_one(right_settings, checks_machine.packages)
    assert_wrong(found, says="is not ==1.0.0; no-such-package is missing", cure="make install")


def test_a_missing_manifest_names_the_make_target(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dbt, "MANIFEST", tmp_path / "manifest.json")
    assert_wrong(the_one(right_settings, checks_machine.dbt_manifest), says="is missing", cure="make manifest")


def test_a_manifest_older_than_a_model_is_found(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text("{}")
    os.utime(manifest, (0, 0))
    monkeypatch.setattr(dbt, "MANIFEST", manifest)
    assert_wrong(the_one(right_settings, checks_machine.dbt_manifest), says="older than models", cure="make manifest")


@pytest.mark.parametrize(("free", "state"), [(10**9, "wrong"), (5 * 10**9, "note"), (50 * 10**9, "ok")])
def test_little_room_on_the_disk_is_told_before_it_is_full(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(checks_machine.shutil, "disk_usage", lambda _: usage._replace(free=free))
    assert the_one(right_settings, checks_machine.disk).state == state


@pytest.mark.parametrize("name", sorted(readiness.NEEDED))
def test_each_setting_that_a_lawful_message_needs_is_missed_by_name(right_settings: Settings, name: str) -> None:
    found = the_one(changed(right_settings, **{name: ""}), checks_machine.settings)
    assert_wrong(found, says=f"missing: LEADPIPE_{name.upper()}", cure=".env")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8801", "http://leads.demo-realty.example"])
def test_live_needs_an_address_that_providers_can_reach_over_https(right_settings: Settings, url: str) -> None:
    live = changed(right_settings, sending=Sending.LIVE, public_base_url=url)
    assert_wrong(the_one(live, checks_machine.settings), says=url, cure="https address")


def test_everything_that_is_missing_or_wrong_is_told_at_once(right_settings: Settings) -> None:
    nowhere = {"plans_path": Path("/nowhere"), "spend_csv": Path("/nowhere.csv")}
    live = {"sending": Sending.LIVE, "public_base_url": "http://127.0.0.1:8801"}
    found = the_one(changed(right_settings, postal_address="", **nowhere, **live), checks_machine.settings)
    for name in ("POSTAL_ADDRESS (", "PLANS_PATH=/nowhere", "SPEND_CSV=/nowhere.csv", "PUBLIC_BASE_URL=http://127"):
        assert_wrong(found, says=f"LEADPIPE_{name}", cure="docs/configuration.md tells each; ")


def test_alerts_that_go_nowhere_are_a_note(right_settings: Settings) -> None:
    assert the_one(changed(right_settings, alert_urls=()), checks_machine.settings).state == "note"


def test_an_empty_allowlist_lets_nobody_be_reached(right_settings: Settings) -> None:
    found = the_one(changed(right_settings, sending=Sending.ALLOWLIST), checks_machine.sending)
    assert_wrong(found, says="0 contacts", cure="LEADPIPE_ALLOWLIST")


@pytest.mark.parametrize("name", ["plans_path", "zillow_folder", "spend_csv"])
def test_a_path_that_is_not_there_is_told_by_its_variable(right_settings: Settings, name: str) -> None:
    found = the_one(changed(right_settings, **{name: Path("/nope")}), checks_machine.settings)
    assert_wrong(found, says=f"LEADPIPE_{name.upper()}=/nope is no f", cure="correct the path")


def test_an_alert_url_that_nobody_understands_is_counted_and_not_repeated(right_settings: Settings) -> None:
    urls = ("json://127.0.0.1:1/alerts", "nonsense-with-secret")
    found = the_one(changed(right_settings, alert_urls=urls), checks_machine.alerts)
    assert_wrong(found, says="LEADPIPE_ALERT_URLS: no. 2 of 2", cure="apprise")
    assert "secret" not in found.words + found.cure


def test_a_time_zone_that_is_none_ends_every_command_and_names_the_variable(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_TEAM_TIMEZONE", "Mars/X")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "LEADPIPE_TEAM_TIMEZONE" in done.output
    assert "'Mars/X' is no IANA time zone" in done.output


def test_a_name_that_is_no_setting_is_told_with_the_closest_one_wherever_it_stands(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del right_settings
    assert checks_machine.unknown_settings(None).state == "ok"
    monkeypatch.setenv("LEADPIPE_BOGUS_KEY", "x")
    (tmp_path / ".env").write_text("LEADPIPE_POSTAL_ADRESS=1 Main St\n")
    found = checks_machine.unknown_settings(tmp_path / ".env")
    assert found.state == "note"
    assert "LEADPIPE_BOGUS_KEY" in found.words
    assert "LEADPIPE_POSTAL_ADRESS (did you mean LEADPIPE_POSTAL_ADDRESS?)" in found.words


def test_a_home_that_is_a_file_is_said_to_be_one(right_settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    found = the_one(changed(right_settings, home=file), checks_machine.disk)
    assert_wrong(found, says=f"{file} is a file", cure="LEADPIPE_HOME")


def test_a_service_that_died_is_named_while_a_system_runs_in_this_home(
    right_settings: Settings, tmp_path: Path
) -> None:
    here = changed(right_settings, home=tmp_path)
    assert the_one(here, checks_machine.services).state == "note"
    with supervising(tmp_path):
        dead = {"name": "dagster-daemon", "pid": os.getpid(), "created": 1.0}
        (tmp_path / STATE_FILE).write_text(json.dumps({"pid": os.getpid(), "services": [dead]}))
        assert_wrong(the_one(here, checks_machine.services), says="dagster-daemon", cure="logs")


# the stores


def test_a_home_where_nothing_was_set_up_is_told_and_nothing_is_created(
    right_settings: Settings, tmp_path: Path
) -> None:
    empty = changed(right_settings, home=tmp_path, database_url=None)
    found = diagnose(empty, *checks_stores.CHECKS)
    assert {finding.state for finding in found} == {"wrong"}
    assert "leadpipe up" in found[0].cure
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_told_once_with_its_reason(right_settings: Settings) -> None:
    away = changed(right_settings, database_url="postgresql://leadpipe@127.0.0.1:1/leadpipe")
    database, ledger_line, *_ = diagnose(away, checks_stores.database, checks_stores.ledger, checks_stores.lake)
    assert_wrong(database, says="LEADPIPE_DATABASE_URL: connection", cure="start that server")
    assert_wrong(ledger_line, says="does not answer", cure="see the line `database`")


def test_an_empty_database_is_to_be_set_up(right_settings: Settings, server_url: str) -> None:
    empty = changed(right_settings, database_url=server_url)
    assert_wrong(the_one(empty, checks_stores.ledger), says="empty", cure="leadpipe up")


def test_an_older_schema_of_the_ledger_is_to_be_upgraded(
    right_settings: Settings, new_database: Callable[[str], str], ledger_template: str
) -> None:
    url = new_database(ledger_template)
    with psycopg.connect(url) as connection:
        connection.execute("update ledger.alembic_version set version_num = '0001'")
    old = changed(right_settings, database_url=url)
    assert_wrong(the_one(old, checks_stores.ledger), says=f"0001, wanted {ledger.head_revision()}", cure="leadpipe up")


def test_a_missing_extension_is_named(right_settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(extensions.folder(right_settings.home), extensions.folder(tmp_path))
    version = f"v{duckdb.__version__}"
    for file in extensions.folder(tmp_path).glob(f"{version}/*/httpfs.duckdb_extension"):
        file.unlink()
    found = the_one(changed(right_settings, home=tmp_path), checks_stores.extensions)
    assert_wrong(found, says="httpfs for DuckDB", cure="leadpipe up")


def test_a_lake_that_was_never_made_is_told(
    right_settings: Settings, new_database: Callable[[str], str], ledger_template: str, tmp_path: Path
) -> None:
    none = changed(right_settings, database_url=new_database(ledger_template), lake_path=str(tmp_path))
    assert_wrong(the_one(none, checks_stores.lake), says=str(tmp_path), cure="leadpipe up")


def test_a_table_that_the_lake_lacks_is_named(right_settings: Settings) -> None:
    runtime = Runtime(right_settings)
    with runtime.lake.write("raw.spend") as connection:
        connection.execute("alter table raw.spend rename to spend_away")
    try:
        assert_wrong(the_one(right_settings, checks_stores.lake), says="raw.spend", cure="leadpipe up")
    finally:
        with runtime.lake.write("raw.spend") as connection:
            connection.execute("alter table raw.spend_away rename to spend")
        runtime.close()


def test_a_simulated_calendar_is_wrong_where_real_people_are_reached_and_a_note_in_the_sandbox(
    right_settings: Settings,
) -> None:
    runtime = Runtime(right_settings)
    set_offset(runtime.engine, timedelta(days=-2, seconds=-0.3))
    try:
        assert the_one(right_settings, checks_stores.clock).state == "note"
        live = changed(right_settings, sending=Sending.LIVE)
        assert_wrong(the_one(live, checks_stores.clock), says="moved by 2 days back", cure="LEADPIPE_HOME")
    finally:
        set_offset(runtime.engine, timedelta(0))
        runtime.close()


def test_a_clock_that_is_off_is_found_by_the_databases(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_stores, "SKEW", timedelta(seconds=-1))
    assert_wrong(the_one(right_settings, checks_stores.clock), says="away from the database's", cure="NTP")


def test_stopped_sending_is_a_note_with_its_reason(right_settings: Settings) -> None:
    runtime = Runtime(right_settings)
    switch.stop(runtime.engine, now=runtime.clock.now(), reason="rehearsal")
    try:
        found = the_one(right_settings, checks_stores.switch)
        assert found.state == "note"
        assert "rehearsal" in found.words
        assert "resume" in found.cure
    finally:
        switch.resume(runtime.engine, now=runtime.clock.now(), stale_after=timedelta(days=1))
        runtime.close()


# Follow Up Boss


@pytest.mark.parametrize(
    ("key", "says"),
    [("", "LEADPIPE_FUB_API_KEY is not set"), ("fka_wrong", "refuses LEADPIPE_FUB_API_KEY"),
     ("fka_sandbox_agent", "belongs to")],
)  # fmt: skip
def test_a_fub_key_that_is_missing_wrong_or_not_the_owners_is_told(
    right_settings: Settings, key: str, says: str
) -> None:
    found = the_one(changed(right_settings, fub_api_key=key), checks_crm.fub_key)
    assert_wrong(found, says=says, cure="owner")
    assert key == "" or key not in found.words


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"fub_system_key": ""}, "is not set"), ({"fub_system": "another"}, "refused"),
     ({"fub_system_key": "another"}, "refused")],
)  # fmt: skip
def test_a_system_that_is_not_registered_is_told(right_settings: Settings, changes: dict[str, str], says: str) -> None:
    assert_wrong(the_one(changed(right_settings, **changes), checks_crm.fub_system), says=says, cure="regist")


def test_a_missing_webhook_is_named_and_one_of_another_address_is_no_webhook_of_ours(right_settings: Settings) -> None:
    runtime = Runtime(right_settings)
    (created,) = [hook for hook in webhooks.status(runtime.crm, right_settings) if hook.event == "peopleCreated"]
    runtime.crm.delete(f"webhooks/{created.hook_id}")
    try:
        found = the_one(right_settings, checks_crm.webhooks)
        assert_wrong(found, says="peopleCreated is missing", cure="leadpipe webhooks install")
    finally:
        webhooks.install(runtime.crm, right_settings)
        runtime.close()
    moved = changed(right_settings, public_base_url="https://elsewhere.example")
    assert "peopleUpdated is" in the_one(moved, checks_crm.webhooks).words


def test_a_score_field_that_is_missing_or_of_another_type_is_named(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = custom_fields.DEFINITIONS[0]
    renamed = dataclasses.replace(score, name="customLeadpipeOther", label="Leadpipe Other")
    monkeypatch.setattr(custom_fields, "DEFINITIONS", (renamed,))
    missing = the_one(right_settings, checks_crm.score_fields)
    assert_wrong(missing, says="customLeadpipeOther is missing", cure="leadpipe webhooks install")
    monkeypatch.setattr(custom_fields, "DEFINITIONS", (dataclasses.replace(score, type="date"),))
    taken = the_one(right_settings, checks_crm.score_fields)
    assert_wrong(taken, says="customLeadpipeScore is a field of another type", cure="Admin > Custom Fields")
    unseen = the_one(changed(right_settings, fub_api_key="fka_wrong"), checks_crm.score_fields)
    assert_wrong(unseen, says="cannot be listed", cure="FUB key")


# senders


@pytest.mark.parametrize(
    ("check", "changes", "says", "cure"),
    [
        (checks_senders.ses_account, {"email_from": ""}, "LEADPIPE_EMAIL_FROM", "NAME <ADDRESS>"),
        (checks_senders.ses_account, {"ses_endpoint_url": "http://127.0.0.1:1"}, "does not answer", "LEADPIPE_AWS"),
        (checks_senders.ses_identity, {"email_from": "Demo Realty"}, "no address", "NAME <ADDRESS>"),
        (checks_senders.ses_identity, {"email_from": "A <a@other.example>"}, "other.example", "DNS records"),
        (checks_senders.ses_events, {"ses_configuration_set": "other"}, "configuration set other", "create it"),
        (checks_senders.ses_events, {"sns_topic_arns": ()}, "does not believe", "LEADPIPE_SNS_TOPIC_ARNS"),
        (checks_senders.openai, {"openai_api_key": "sk-wrong"}, "refuses", "new key"),
        (checks_senders.openai, {"openai_base_url": "http://127.0.0.1:1"}, "does not answer", "LEADPIPE_OPENAI"),
        (checks_twilio.twilio, {"twilio_account_sid": ""}, "LEADPIPE_TWILIO_ACCOUNT_SID", "console"),
        (checks_twilio.twilio, {"twilio_auth_token": ""}, "LEADPIPE_TWILIO_AUTH_TOKEN", "console"),
        (checks_twilio.twilio, {"twilio_auth_token": "wrong"}, "refused by Twilio (20003)", "LEADPIPE_TWILIO_AUTH"),
        (checks_twilio.twilio, {"twilio_base_url": "http://127.0.0.1:1"}, "does not answer", "console"),
        (checks_twilio.sms_number, {"sms_number": "+15005550099"}, "no number of this account", "buy it"),
        (
            checks_twilio.sms_number,
            {"sms_number": "", "twilio_messaging_service_sid": ""},
            "neither LEADPIPE_SMS_NUMBER",
            "campaign",
        ),
        (checks_twilio.sms_campaign, {"a2p_campaign_id": ""}, "LEADPIPE_A2P_CAMPAIGN_ID", "10DLC"),
        (checks_twilio.sms_campaign, {"a2p_campaign_id": "CM9"}, "not registered", "LEADPIPE_A2P_CAMPAIGN_ID"),
        (checks_twilio.sms_campaign, {"twilio_messaging_service_sid": "MG9"}, "20404", "SERVICE_SID"),
        (checks_twilio.whatsapp, {"whatsapp_number": "+15005550006"}, "whatsapp:+", "whatsapp:+15005550006"),
        (checks_twilio.whatsapp, {"whatsapp_template_sid": ""}, "nobody can be written to first", "Template Builder"),
        (checks_twilio.whatsapp, {"whatsapp_template_sid": "HX9"}, "template HX9", "WHATSAPP_TEMPLATE_SID"),
    ],
)
def test_one_wrong_thing_about_a_sender_is_named_with_its_cure(
    right_settings: Settings, check: Callable[[Runtime], Finding], changes: dict[str, Any], says: str, cure: str
) -> None:
    assert_wrong(the_one(changed(right_settings, **changes), check), says=says, cure=cure)


def test_a_whatsapp_template_with_other_words_than_ours_is_named_with_the_words_to_submit(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(content_template.APPROVED, content_template.THE_ONE, "Hi {{1}}, this is {{2}}.")
    found = the_one(right_settings, checks_twilio.whatsapp)
    assert_wrong(found, says="has other words", cure="Hi {{1}}, this is {{2}}.")


SES_CASES = {
    "paused": (checks_senders.ses_account, {"SendingEnabled": False}, "switched off"),
    "sandbox": (
        checks_senders.ses_account,
        {"SendingEnabled": True, "ProductionAccessEnabled": False},
        "SES's sandbox",
    ),
    "unverified": (checks_senders.ses_identity, {"VerifiedForSendingStatus": False}, "not verified"),
    "unsigned": (
        checks_senders.ses_identity,
        {"VerifiedForSendingStatus": True, "DkimAttributes": {"Status": "PENDING"}},
        "does not sign",
    ),
    "no topic": (checks_senders.ses_events, {"EventDestinations": []}, "BOUNCE and COMPLAINT"),
    "half": (
        checks_senders.ses_events,
        {
            "EventDestinations": [
                {"Enabled": True, "MatchingEventTypes": ["BOUNCE"], "SnsDestination": {"TopicArn": "arn:x"}}
            ]
        },
        "tells no topic of COMPLAINT",
    ),
}


@pytest.mark.parametrize("case", SES_CASES)
def test_an_ses_account_that_cannot_carry_mail_yet_is_told(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    check, answer, says = SES_CASES[case]
    monkeypatch.setattr(checks_senders, "_ask_aws", lambda *_: (answer, ""))
    found = the_one(right_settings, check)
    assert found.state == "wrong"
    assert says in found.words
    assert found.cure


def test_a_campaign_that_carriers_have_not_verified_yet_blocks(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Campaign:
        campaign_id = right_settings.a2p_campaign_id
        campaign_status = "IN_PROGRESS"

    monkeypatch.setattr(checks_twilio, "_ask", lambda *_: ([Campaign()], ""))
    assert_wrong(the_one(right_settings, checks_twilio.sms_campaign), says="IN_PROGRESS", cure="verified")


def test_a_team_without_twilio_or_openai_is_told_what_is_off_and_nothing_is_wrong(right_settings: Settings) -> None:
    bare = changed(
        right_settings,
        twilio_account_sid="",
        twilio_auth_token="",
        sms_number="",
        twilio_messaging_service_sid="",
        whatsapp_number="",
        a2p_campaign_id="",
        openai_api_key="",
    )
    found = diagnose(bare, *checks_twilio.CHECKS, checks_senders.openai)
    assert {finding.state for finding in found} == {"note"}


def test_a_sandbox_that_is_down_is_told_by_every_check_of_a_provider(
    right_settings: Settings, sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadpipe.crm.client.READ_ATTEMPTS", 1)
    nowhere = "http://127.0.0.1:1"
    down = changed(
        right_settings,
        fub_base_url=nowhere,
        ses_endpoint_url=nowhere,
        twilio_base_url=nowhere,
        openai_base_url=nowhere,
    )
    assert sandbox.base_url != nowhere
    found = diagnose(down, *checks_crm.CHECKS, *checks_senders.CHECKS, *checks_twilio.CHECKS)
    assert {finding.name for finding in found if finding.state != "wrong"} == set()
