"""Settings as a process finds them: environment, ``.env`` file, a secret of AWS, and a demo's own.

What lives here: which of these wins. What does not: reading a file and telling what is wrong in it
(``setting_sources``), the secret (``vault``), the settings (``settings``). Nothing is read at import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from leadpipe.errors import ConfigurationError
from leadpipe.setting_sources import faults_of, in_environment, read_env_file
from leadpipe.settings import Settings

# What a demo leaves empty and a caller's environment may give: nothing of it reaches anybody or is written to.
FILLED_BY_THE_CALLER = ("backup_key", "zillow_folder")


def load_settings(*, env_file: Path | None = Path(".env")) -> Settings:
    """Settings from the environment, the given file and, if they name one, a secret of AWS Secrets Manager.

    The environment wins over the file, and the file over the secret. Where the home is a demo's, its own settings are
    the only ones, whoever asks; what it leaves empty of ``FILLED_BY_THE_CALLER`` the environment may give.

    Args:
        env_file: file of ``LEADPIPE_NAME=value`` lines; None reads none (the demo and the sandbox never read one).

    Raises:
        ConfigurationError: a value is missing or wrong, or a line of the file cannot be read; the message names
            variable and place.
    """
    file = read_env_file(env_file)
    if file.faults:
        raise ConfigurationError("settings are wrong: " + "; ".join(file.faults))
    own = in_environment()
    values: dict[str, Any] = {name: text for name, text in file.values.items() if name not in own}
    vault = ""

    def place_of(name: str) -> str:
        if name in own:
            return "in the environment"
        return f"in {file.path}" if name in file.values else f"in the AWS secret {vault}" if vault else ""

    try:
        settings = of_the_demo(Settings(_env_file=None, **values))  # pyright: ignore[reportCallIssue]
        if not settings.secrets_manager_name:
            return settings
        from leadpipe.vault import read_vault

        vault = settings.secrets_manager_name
        kept = {name: value for name, value in read_vault(settings).items() if name not in settings.model_fields_set}
        return Settings(_env_file=None, **(values | kept))  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        raise ConfigurationError(
            "settings are wrong: " + "; ".join(faults_of(error, place_of, told=own | set(file.values)))
        ) from None


def of_the_demo(settings: Settings) -> Settings:
    """The settings under which the demo of this home works; the given ones where none does, or if they are its own."""
    from leadpipe.store.house_settings import demo_variables

    noted = demo_variables(settings.home)
    # Its own processes, and a test's that changed one setting of it on purpose, bring the demo's sandbox themselves.
    if not noted or settings.fub_base_url == noted.get("LEADPIPE_FUB_BASE_URL"):
        return settings
    own = {name.removeprefix("LEADPIPE_").lower(): value for name, value in noted.items()}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    callers = {name: getattr(settings, name) for name in FILLED_BY_THE_CALLER if name in in_environment()}
    # Every field is given, so that nothing else of the caller's environment fills a gap.
    return Settings(_env_file=None, **(defaults | callers | own | {"home": settings.home}))  # pyright: ignore[reportCallIssue]
