"""What children of the supervisor are given, and the home of a demo."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from leadpipe.cli.demo import FOREIGN, MARK, clear_home, demo_home, enter_demo_world
from leadpipe.cli.demo_script import cohorts_before
from leadpipe.cli.services import child_environment, dagster_services, free_port, listens, setting_variables
from leadpipe.cli.system import Ports
from leadpipe.errors import ConfigurationError
from leadpipe.policy.blackout import Blackout
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Sending, Settings, StateValue


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith(("LEADPIPE_", *FOREIGN))]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_settings_survive_the_way_through_the_environment(no_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Settings(
        home=tmp_path / "home",
        sending=Sending.ALLOWLIST,
        allowlist=("a@example.com", "+13125550101"),
        fub_api_key=SecretStr("fka_x"),
        cap_per_day=7,
        plans_path=tmp_path / "plans",
        stop_stages=(),
        go_live_at=datetime(2026, 11, 24, 14, tzinfo=UTC),
        licences=(StateValue("TX", "9001234"),),
        blackouts=tuple(
            Blackout(state=state, begins_at=datetime(2026, 8, 29, tzinfo=UTC), ends_at=datetime(2026, 9, 5, tzinfo=UTC))
            for state in ("LA", "TX")
        ),
    )
    for name, value in setting_variables(given).items():
        no_settings.setenv(name, value)
    assert load_settings(env_file=None) == given


def test_paths_of_children_do_not_depend_on_where_the_command_was_started(
    no_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_settings.chdir(tmp_path)
    variables = setting_variables(Settings(home=Path("here"), spend_csv=Path("spend.csv")))
    assert variables["LEADPIPE_HOME"] == str(tmp_path / "here")
    assert variables["LEADPIPE_SPEND_CSV"] == str(tmp_path / "spend.csv")


def test_children_see_no_setting_and_no_key_of_the_users_own(no_settings: pytest.MonkeyPatch) -> None:
    no_settings.setenv("LEADPIPE_FUB_API_KEY", "fka_real")
    no_settings.setenv("AWS_PROFILE", "real")
    no_settings.setenv("HTTP_PROXY", "http://proxy.example")
    found = child_environment({"LEADPIPE_HOME": "/x"}, without=FOREIGN)
    assert {name for name in found if name.startswith("LEADPIPE_")} == {"LEADPIPE_HOME"}
    assert "AWS_PROFILE" not in found
    assert found["HTTP_PROXY"] == "http://proxy.example"


def test_webserver_and_daemon_share_the_one_code_server_on_the_loopback(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace.yaml"
    found = dagster_services({}, home=tmp_path, workspace=workspace, code_port=4242, ui_port=3000)
    (location,) = yaml.safe_load(workspace.read_text())["load_from"]
    assert location["grpc_server"] == {"host": "127.0.0.1", "port": 4242, "location_name": "leadpipe"}
    code_server, webserver, daemon = found
    assert code_server.command[code_server.command.index("-h") + 1] == "127.0.0.1"
    assert webserver.command[webserver.command.index("-h") + 1] == "127.0.0.1"
    assert str(workspace) in webserver.command
    assert str(workspace) in daemon.command
    assert daemon.restart_every_seconds == 24 * 3600


def test_a_taken_port_is_not_chosen_and_is_seen_to_be_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert listens(port)()
        assert free_port(port) != port
    assert not listens(port)()


# the demo's home


def test_the_demo_works_in_a_folder_of_its_own_unless_told_otherwise(
    no_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_settings.chdir(tmp_path)
    assert demo_home() == tmp_path / ".leadpipe" / "demo"
    no_settings.setenv("LEADPIPE_HOME", str(tmp_path / "mine"))
    assert demo_home() == tmp_path / "mine"


def test_a_demo_begins_by_emptying_the_home_of_an_earlier_one(tmp_path: Path) -> None:
    clear_home(tmp_path)
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "old.parquet").write_text("old")
    (tmp_path / "sandbox.json").write_text("{}")
    clear_home(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [MARK]


def test_a_home_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="holds something else than a demo"):
        clear_home(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_in_the_demos_world_every_provider_is_on_this_machine_and_no_key_of_the_users_is_left(
    no_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_settings.setenv("LEADPIPE_FUB_API_KEY", "fka_real")
    no_settings.setenv("LEADPIPE_SENDING", "live")
    no_settings.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    no_settings.setenv("LEADPIPE_MARTS_EVERY_MINUTES", "1")
    kept = dict(os.environ)
    try:
        config = SandboxConfig(base_url="http://127.0.0.1:8800", gateway_url="http://127.0.0.1:8801")
        enter_demo_world(tmp_path, config, Ports(gateway=8801, dagster=3000, code_server=4000))
        settings = load_settings(env_file=None)
        assert "AWS_ACCESS_KEY_ID" not in os.environ
    finally:
        os.environ.clear()
        os.environ.update(kept)
    assert settings.sending is Sending.SANDBOX
    assert settings.fub_api_key.get_secret_value() == config.fub_api_key
    assert all("127.0.0.1" in url for url in settings.provider_urls.values())
    assert settings.marts_every_minutes == 1
    assert settings.home == tmp_path


def test_the_backfilled_year_ends_half_a_year_before_today() -> None:
    from datetime import date

    cohorts = cohorts_before(date(2026, 5, 12))
    assert (len(cohorts), cohorts[0], cohorts[-1]) == (12, "2024-12-01", "2025-11-01")
