"""Settings for the commands that must work whatever else is wrong: ``sending stop``, ``sending status``, ``down``.

What lives here: taking home and database and leaving out what is wrong, the warning. What does not: what is wrong
(``settings``); the same rules refuse here as everywhere.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from leadpipe.settings import Settings

# Values that are right by themselves and wrong beside others.
_TOGETHER = frozenset({"sending", "failpoints", "chaos_without", "sns_cert_base_url"})


@dataclass(frozen=True, kw_only=True)
class Emergency:
    """Settings for stopping, read from whatever could be read.

    Attributes:
        settings: home and database are as they were set; what was wrong has its default.
        left_out: fields that were wrong.
        warning: what was wrong; empty when nothing was.
    """

    settings: Settings
    left_out: frozenset[str] = frozenset()
    warning: str = ""


def emergency_settings() -> Emergency:
    """Home and database as they were set; one line on stderr tells what else is wrong.

    Raises:
        ConfigurationError: home or database cannot be read.
    """
    found = load_emergency_settings()
    if found.warning:
        home = found.settings.home.absolute()
        typer.echo(f"{found.warning}; this command goes on without what is wrong, in {home}", err=True)
    return found


def load_emergency_settings(*, env_file: Path | None = Path(".env")) -> Emergency:
    """Settings for the commands that must stop things whatever else is wrong: only home and database have to be right.

    Raises:
        ConfigurationError: home or database cannot be read.
    """
    from pydantic import ValidationError

    from leadpipe.errors import LeadpipeError, TransientError
    from leadpipe.setting_loading import load_settings, of_the_demo
    from leadpipe.setting_sources import in_environment, read_env_file, wrong_fields
    from leadpipe.settings import Settings
    from leadpipe.vault import read_vault

    try:
        return Emergency(settings=load_settings(env_file=env_file))
    except LeadpipeError as error:
        warning = str(error)
        file = read_env_file(env_file)
        own = in_environment()
        values: dict[str, Any] = {name: text for name, text in file.values.items() if name not in own}
        # A line that cannot be read leaves out what it names.
        left_out = {
            name for name in Settings.model_fields if f"LEADPIPE_{name.upper()}" in file.touched and name not in own
        }
        if left_out & {"home", "database_url"}:
            raise
        is_vault_read = False
        # First what is wrong by itself, then what is wrong in company, and both again with what AWS keeps.
        for _ in range(6):
            usual = {name: Settings.model_fields[name].default for name in left_out}
            try:
                settings = Settings(_env_file=None, **(values | usual))  # pyright: ignore[reportCallIssue]
            except ValidationError as again:
                left_out |= wrong_fields(again) or _TOGETHER
                if left_out & {"home", "database_url"}:
                    raise error from None
                continue
            settings = of_the_demo(settings)
            if settings.secrets_manager_name and not is_vault_read:
                is_vault_read = True
                kept: dict[str, Any] | None = None
                if not isinstance(error, TransientError):  # AWS does not answer; a stop does not wait for it twice
                    with suppress(LeadpipeError):  # the warning tells it
                        kept = read_vault(settings)
                if kept is not None:
                    values |= {name: value for name, value in kept.items() if name not in settings.model_fields_set}
                    continue
                left_out |= {"sending"} - settings.model_fields_set
            return Emergency(settings=settings, left_out=frozenset(left_out), warning=warning)
        raise
