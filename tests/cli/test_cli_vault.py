"""Settings from AWS Secrets Manager (moto) join those of the environment and of a file."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from leadpipe.cli.emergency import load_emergency_settings
from leadpipe.cli.services import setting_variables
from leadpipe.errors import ConfigurationError
from leadpipe.setting_loading import load_settings

NAME = "leadpipe/production"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    for name in [name for name in os.environ if name.startswith(("LEADPIPE_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("LEADPIPE_SECRETS_MANAGER_NAME", NAME)
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="us-east-1")


def keep(vault: Any, value: object) -> None:
    vault.create_secret(Name=NAME, SecretString=value if isinstance(value, str) else json.dumps(value))


def test_settings_come_from_the_secret_under_either_spelling(vault: Any) -> None:
    keep(vault, {"LEADPIPE_FUB_API_KEY": "fka_from_vault", "twilio_auth_token": "token-from-vault", "cap_per_day": 9})
    settings = load_settings(env_file=None)
    assert settings.fub_api_key.get_secret_value() == "fka_from_vault"
    assert settings.twilio_auth_token.get_secret_value() == "token-from-vault"
    assert settings.cap_per_day == 9


def test_the_environment_wins_over_the_file_and_the_file_over_the_secret(
    vault: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep(vault, {"brokerage_name": "vault", "postal_address": "vault", "email_from": "vault <v@vault.example>"})
    file = tmp_path / ".env"
    file.write_text("LEADPIPE_BROKERAGE_NAME=file\nLEADPIPE_POSTAL_ADDRESS=file\n")
    monkeypatch.setenv("LEADPIPE_BROKERAGE_NAME", "environment")
    settings = load_settings(env_file=file)
    assert (settings.brokerage_name, settings.postal_address) == ("environment", "file")
    assert settings.email_from == "vault <v@vault.example>"


def test_children_get_the_values_and_not_the_secret_s_name(vault: Any) -> None:
    keep(vault, {"fub_api_key": "fka_from_vault"})
    variables = setting_variables(load_settings(env_file=None))
    assert variables["LEADPIPE_FUB_API_KEY"] == "fka_from_vault"
    assert "LEADPIPE_SECRETS_MANAGER_NAME" not in variables


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "ResourceNotFoundException"),
        ("hush-hush", "no JSON object"),
        (["hush-hush"], "no JSON object"),
        ({"fub_api_kee": "hush-hush"}, "no settings are called fub_api_kee"),
        ({"cap_per_day": "hush-hush"}, "LEADPIPE_CAP_PER_DAY"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_its_content_is_not_told(
    vault: Any, value: object, says: str
) -> None:
    if value is not None:
        keep(vault, value)
    with pytest.raises(ConfigurationError, match=says) as caught:
        load_settings(env_file=None)
    assert "hush-hush" not in str(caught.value)


def test_a_stop_finds_the_database_in_a_secret_that_holds_something_wrong_too(vault: Any) -> None:
    keep(vault, {"database_url": "postgresql:///team", "cap_per_day": "hush-hush"})
    found = load_emergency_settings(env_file=None)
    assert (found.settings.database_url, found.left_out) == ("postgresql:///team", {"cap_per_day"})
    assert f"LEADPIPE_CAP_PER_DAY: write a whole number (in the AWS secret {NAME})" in found.warning
    assert "hush-hush" not in found.warning


def test_a_stop_works_without_the_secret_and_says_that_the_mode_is_not_known(
    vault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del vault
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", "postgresql:///team")
    found = load_emergency_settings(env_file=None)
    assert (found.settings.database_url, found.left_out) == ("postgresql:///team", {"sending"})
    assert "ResourceNotFoundException" in found.warning
