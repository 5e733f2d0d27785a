"""Asking the doctor about settings with one thing changed, for the tests of its checks.

What lives here: the asking. What does not: any check's cases (the tests beside this file).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from leadpipe.cli.doctor import every_check, examine
from leadpipe.cli.finding import Finding
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings

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
