"""A command works under the settings of the home's own system: a demo's are taken, another's differences refused."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadpipe.cli import dagster_home, main
from leadpipe.cli.demo import FOREIGN, enter_demo_world
from leadpipe.cli.services import setting_variables
from leadpipe.cli.system import Ports
from leadpipe.errors import ConfigurationError
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Sending, Settings
from leadpipe.store import sealed
from leadpipe.store.house_settings import NOTE_FILE, note_demo, note_house, refuse_other_settings
from resources.runtime import LeadpipeResource, _from_environment  # pyright: ignore[reportPrivateUsage]


def forget(patch: pytest.MonkeyPatch) -> None:
    """Be another shell: nothing of leadpipe's in the environment."""
    for name in [name for name in os.environ if name.startswith(("LEADPIPE_", *FOREIGN))]:
        patch.delenv(name)


@pytest.fixture(autouse=True)
def _environment_stays() -> Generator[None]:
    """A demo's settings are this process's own; the next file's tests must not have them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def shell(_environment_stays: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    forget(monkeypatch)
    return monkeypatch


@pytest.fixture
def demos(shell: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The settings of a demo in ``tmp_path``, seen from its own processes; the shell then knows its home alone."""
    with pytest.MonkeyPatch.context() as inside:
        before = dict(os.environ)
        enter_demo_world(tmp_path, SandboxConfig(), Ports(gateway=4801, dagster=4300, code_server=4266))
        note_demo(tmp_path, os.environ)
        inside.setenv("LEADPIPE_HOME", str(tmp_path))
        own = load_settings(env_file=None)
    forget(shell)
    os.environ.update(before)
    shell.setenv("LEADPIPE_HOME", str(tmp_path))
    return own


def test_a_command_in_a_demos_home_works_under_the_demos_settings_whatever_the_shell_says(
    demos: Settings, shell: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("LEADPIPE_SENDING=live\nLEADPIPE_FUB_API_KEY=fka_real\n")
    shell.setenv("LEADPIPE_ALLOWLIST", "someone@example.com")
    found = load_settings()
    assert found == demos
    assert found.sending is Sending.SANDBOX
    assert found.postal_address
    assert found.gateway_port == 4801


def test_what_a_demo_leaves_empty_and_reaches_nobody_the_environment_may_give(
    demos: Settings, shell: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, key = sealed.new_key()
    (tmp_path / ".env").write_text("LEADPIPE_ZILLOW_FOLDER=/somewhere\n")
    shell.setenv("LEADPIPE_BACKUP_KEY", key)
    shell.setenv("LEADPIPE_ALERT_URLS", "json://team")
    shell.setenv("LEADPIPE_METRICS_TOKEN", "another")
    shell.setenv("LEADPIPE_DATABASE_URL", "postgresql://someone@elsewhere.example/real")
    found = load_settings()
    assert found.backup_key.get_secret_value() == key
    assert found.model_copy(update={"backup_key": demos.backup_key}) == demos


def test_up_refuses_a_demos_home(demos: Settings) -> None:
    done = CliRunner().invoke(main.app, ["up"])
    assert done.exit_code == 2, done.output
    assert f"a demo lives in {demos.home}" in done.stderr


def test_dagsters_commands_get_a_demos_settings_and_its_configuration_stays(
    demos: Settings, shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server_url: str
) -> None:
    shell.setattr(dagster_home, "dagster_variables", lambda home, url: {"DAGSTER_HOME": str(home)})
    shell.setattr("leadpipe.runtime.database_url_of", lambda settings: server_url)
    written = demos.home / "dagster" / "dagster.yaml"
    written.parent.mkdir()
    written.write_text("# the running system's\n")
    dagster_home.main()
    said = capsys.readouterr().out
    assert "export LEADPIPE_POSTAL_ADDRESS='1 Example Street" in said
    assert "export LEADPIPE_SENDING=sandbox" in said
    assert written.read_text() == "# the running system's\n"


def test_a_real_accounts_settings_are_not_printed(
    shell: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], server_url: str
) -> None:
    shell.setenv("LEADPIPE_HOME", str(tmp_path))
    shell.setenv("LEADPIPE_DATABASE_URL", server_url)
    shell.setenv("LEADPIPE_FUB_API_KEY", "fka_real")
    dagster_home.main()
    said = capsys.readouterr().out
    assert "DAGSTER_HOME" in said
    assert "LEADPIPE_" not in said
    assert "fka_real" not in said


@pytest.fixture
def house(shell: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> Settings:
    """The settings of a system that was set up in ``tmp_path``."""
    own = settings.model_copy(update={"home": tmp_path, "plans_path": tmp_path / "plans"})
    note_house(own)
    for name, value in setting_variables(own).items():
        shell.setenv(name, value)
    return own


def test_the_same_settings_may_act_and_the_note_holds_no_secret_nor_word(house: Settings) -> None:
    refuse_other_settings(load_settings(env_file=None))
    text = (house.home / NOTE_FILE).read_text()
    assert "secret" not in text
    assert "Example Street" not in text


def test_other_settings_are_refused_by_name_only(house: Settings) -> None:
    other = house.model_copy(update={"postal_address": "", "cap_per_day": 1, "openai_model": "another"})
    with pytest.raises(ConfigurationError, match="LEADPIPE_CAP_PER_DAY, LEADPIPE_POSTAL_ADDRESS; nothing") as refused:
        refuse_other_settings(other)
    assert "Example Street" not in str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        ("messages", "release", "5b1c2a0e-3f70-4c55-9f0f-8f3f0d2f9f10"),
        ("sending", "resume"),
        ("send-worker", "--exit-after", "1"),
    ],
    ids=" ".join,
)
def test_commands_that_act_on_messages_refuse_another_shells_settings(
    words: tuple[str, ...], house: Settings, shell: pytest.MonkeyPatch
) -> None:
    shell.delenv("LEADPIPE_POSTAL_ADDRESS")
    done = CliRunner().invoke(main.app, list(words))
    assert done.exit_code == 2, done.output
    assert "LEADPIPE_POSTAL_ADDRESS; nothing was done" in done.stderr
    looked = CliRunner().invoke(main.app, ["sending", "status"])
    assert "nothing was done" not in looked.stderr and "nothing waits" in looked.stdout, "looking is free"


def test_a_run_started_from_another_shell_refuses_its_settings(house: Settings, shell: pytest.MonkeyPatch) -> None:
    shell.delenv("LEADPIPE_POSTAL_ADDRESS")
    _from_environment.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="LEADPIPE_POSTAL_ADDRESS; nothing was done"):
            _ = LeadpipeResource().runtime
    finally:
        _from_environment.cache_clear()
