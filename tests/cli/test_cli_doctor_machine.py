"""What the doctor says of packages, disk, settings and running services."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadpipe import readiness
from leadpipe.cli import checks_machine
from leadpipe.cli.main import app
from leadpipe.cli.supervisor import STATE_FILE, supervising
from leadpipe.settings import Sending, Settings
from leadpipe.store import dbt
from tests.cli.doctoring import assert_wrong, changed, the_one


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
        found = tmp_path.stat()
        state = {"home": [found.st_dev, found.st_ino], "pid": os.getpid(), "services": [dead]}
        (tmp_path / STATE_FILE).write_text(json.dumps(state))
        assert_wrong(the_one(here, checks_machine.services), says="dagster-daemon", cure="logs")
