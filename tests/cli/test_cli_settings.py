"""Settings as people write them wrong: refused with variable, value, place and what to write."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Settings
from leadpipe.store.sealed import new_key


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a ``.env``, and an environment that says nothing."""
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def given(**variables: str) -> Settings:
    Path(".env").write_text("".join(f"LEADPIPE_{name}={value}\n" for name, value in variables.items()))
    return load_settings()


def refusal(**variables: str) -> str:
    with pytest.raises(ConfigurationError, match="^settings are wrong: ") as refused:
        given(**variables)
    return str(refused.value)


WRONG = [
    ("SMS_DISABLED_STATES", "Texas", "'Texas' is no state; write two letters each, separated by commas, like TX,FL"),
    ("SMS_DISABLED_STATES", "TX;FL", "'TX;FL' is no state"),
    ("LICENCES", "XX=1", "'XX=1' is no STATE=VALUE; write pairs like CA=01234567"),
    ("LICENCE_LINKS", "TE=https://acme.example", "is no STATE=VALUE"),
    ("OPTOUT_TAGS", "DNC;No Texts", "'DNC;No Texts' is one name with a semicolon; separate names by commas"),
    ("STOP_STAGES", "Closed;Trash", "separate names by commas"),
    ("GO_LIVE_AT", "yesterday", "'yesterday' is no ISO time with a zone; write one like 2026-11-24T08:00:00-06:00"),
    ("GO_LIVE_AT", "2026-11-24T08:00", "no ISO time with a zone"),
    ("PUBLIC_BASE_URL", "hooks.example", "this is no URL; write it whole, like https://"),
    ("FUB_BASE_URL", "127.0.0.1:8800", "this is no URL"),
    ("TWILIO_BASE_URL", "http://", "this is no URL"),
    ("ALLOWLIST", "notanaddress", "'notanaddress' is no email and no E.164 number; write ana@example.com"),
    ("ALLOWLIST", "+1 312", "'+1 312' is no E.164 number; write one like +13125550101"),
    ("RETENTION", "foo", "write dry_run or on, not 'foo'"),
    ("ERASE_AT_CRM", "yes", "write ask or delete, not 'yes'"),
    ("SMS_PROVIDER", "carrier", "write twilio or sns, not 'carrier'"),
    ("SENDING", "on", "write off, allowlist, sandbox or live, not 'on'"),
    ("WARM_UP", "perhaps", "write true or false, not 'perhaps'"),
    ("CAP_PER_DAY", "many", "write a whole number, not 'many'"),
    ("CAP_PER_DAY", "-1", "write 0 or more, not '-1'"),
    ("GATEWAY_BODY_SECONDS", "0", "write a number above 0"),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG, ids=[f"{name}={value}" for name, value, _ in WRONG])
def test_a_wrong_value_is_refused_with_its_variable_the_file_and_what_to_write(
    folder: Path, name: str, value: str, said: str
) -> None:
    words = refusal(**{name: value})
    assert words.startswith(f"settings are wrong: LEADPIPE_{name}: ")
    assert said in words
    assert words.endswith(f"(in {folder / '.env'})")


@pytest.mark.parametrize(
    ("name", "value"), [("UNSUBSCRIBE_SECRET", "q"), ("FUB_WEBHOOK_TOKEN", "q" * 15), ("BACKUP_KEY", "foo")]
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(folder: Path, name: str, value: str) -> None:
    words = refusal(**{name: value})
    assert f"LEADPIPE_{name}: " in words
    assert value not in words.replace(str(folder), "").split()
    assert "at least 16, e.g. of `openssl rand -hex 24`" in words or "leadpipe backup --new-key" in words


def test_what_is_right_is_taken_as_the_ledger_writes_it() -> None:
    public, secret = new_key()
    found = given(
        SMS_DISABLED_STATES="tx, fl", LICENCES="ca=1", ALLOWLIST="Ana@Example.com,+13125550101", BACKUP_KEY=public,
        GO_LIVE_AT="2026-11-24T08:00:00-06:00", PUBLIC_BASE_URL="https://hooks.acme.example:8443/x",
    )  # fmt: skip
    assert found.sms_disabled_states == ("TX", "FL")
    assert found.allowlist == ("ana@example.com", "+13125550101")
    assert found.go_live_at == datetime(2026, 11, 24, 14, tzinfo=UTC)
    assert given(BACKUP_KEY=secret, GO_LIVE_AT="", SMS_DISABLED_STATES="").go_live_at is None


@pytest.mark.parametrize("name", ["PLANS_PATH", "SPEND_CSV", "ERASURES_PATH", "ZILLOW_FOLDER", "DATABASE_URL"])
def test_an_empty_line_sets_nothing(name: str) -> None:
    assert getattr(given(**{name: ""}), name.lower()) is None


def test_every_wrong_setting_is_named_with_where_it_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADPIPE_CAP_PER_DAY", "many")
    words = refusal(RETENTION="foo", CAP_PER_DAY="7")
    assert "LEADPIPE_CAP_PER_DAY: write a whole number, not 'many' (in the environment)" in words
    assert f"LEADPIPE_RETENTION: write dry_run or on, not 'foo' (in {folder / '.env'})" in words


def test_settings_that_are_wrong_together_are_told_with_where_each_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADPIPE_SENDING", "live")
    words = refusal(FUB_BASE_URL="http://127.0.0.1:1")
    assert words.endswith(f"(LEADPIPE_SENDING in the environment, LEADPIPE_FUB_BASE_URL in {folder / '.env'})")
    assert "Value error" not in words


# the file itself


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"LEADPIPE_CAP_PER_DAY=7\nLEADPIPE_BROKERAGE_NAME=Caf\xe9\n", "line 2 is not UTF-8; save the file as UTF-8"),
        (b"# ours\n\nLEADPIPE_SENDING live\n", "line 3 cannot be read; write NAME=value there"),
        (b"LEADPIPE_SENDING\n", "line 1: LEADPIPE_SENDING has no value; write LEADPIPE_SENDING=VALUE"),
        (b"A=1\nLEADPIPE_FUB_API_KEY='s3cret\n", "line 2 cannot be read"),
        ("LEADPIPE_SENDING=off\n".encode("utf-16"), "line 1 is not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_read_ends_the_start_with_file_and_line(folder: Path, content: bytes, said: str) -> None:
    (folder / ".env").write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert f"settings are wrong: {folder / '.env'} {said}" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_mark_at_the_files_beginning_and_other_programs_lines_hide_no_setting(folder: Path) -> None:
    (folder / ".env").write_bytes(
        b"\xef\xbb\xbfLEADPIPE_CAP_PER_DAY=7\nexport OTHER\nleadpipe_cap_per_hour='8' # all\n"
    )
    found = load_settings()
    assert (found.cap_per_day, found.cap_per_hour) == (7, 8)
