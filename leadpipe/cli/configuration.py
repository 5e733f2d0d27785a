"""``docs/configuration.md``, made from the settings themselves.

What lives here: the page. What does not: any setting (``settings``). Write it anew with
``python -m leadpipe.cli.configuration > docs/configuration.md``; a test fails while the two differ.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from leadpipe.settings import Settings

HEAD = """\
# Configuration

<!-- Made by `python -m leadpipe.cli.configuration`; change the descriptions in leadpipe/settings.py instead. -->

Every setting is an environment variable. `leadpipe up` and the other commands also read a file `.env` in the working
directory (lines of `NAME=value`; the environment wins); `leadpipe demo` and `leadpipe sandbox` read none. Nothing is
required to start: with no setting at all leadpipe runs on its embedded stores and sends nothing. In a demo's home
commands work under the demo's settings; besides `LEADPIPE_HOME` they take `LEADPIPE_BACKUP_KEY` and
`LEADPIPE_ZILLOW_FOLDER` from the environment, and only where the demo itself has none.

`leadpipe doctor` tells which settings are missing for going live, and whether each key, number and domain works.

- Lists are separated by commas, states in them are two letters.
- A value that is wrong, or a line of `.env` that cannot be read, refuses to start; the message names the variable,
  where it stands and what to write. `leadpipe sending stop`, `leadpipe sending status` and `leadpipe down` need the
  home and the database only: they do their work and warn of the rest.
- Settings marked *secret* belong into the environment, a `.env` that only its owner can read, or AWS Secrets Manager
  (`LEADPIPE_SECRETS_MANAGER_NAME`); none of them is ever logged, stored in the lake or shown in Dagster.
- A sandbox setting with a real host, or `LEADPIPE_SENDING=live` with a loopback one, refuses to start. `leadpipe up`
  refuses live sending too while the Follow Up Boss key, the https address of the gateway or anything that a lawful
  message needs is missing, and names all of it.
"""
_SECTION = re.compile(r"^    # (?P<title>.+)$")
_FIELD = re.compile(r"^    (?P<name>[a-z0-9_]+): ")


def configuration_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, names in sections().items():
        rows = [_row(name, Settings.model_fields[name]) for name in names]
        parts.append(f"## {title}\n\n| Variable | Default | Meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def sections() -> dict[str, list[str]]:
    """Setting names by section, in the order and under the comments of the settings' source."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in inspect.getsource(Settings).splitlines():
        if section := _SECTION.match(line):
            title = section["title"][0].upper() + section["title"][1:]
        elif (field := _FIELD.match(line)) and field["name"] in Settings.model_fields:
            found.setdefault(title, []).append(field["name"])
    return found


def _row(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    secret = " *Secret.*" if isinstance(field.default, SecretStr) else ""
    return f"| `LEADPIPE_{name.upper()}` | {_default(field.default)} | {meaning}{secret} |"


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
    elif isinstance(value, tuple):
        text = ",".join(map(str, value))
    elif isinstance(value, Path):
        text = value.as_posix()
    else:
        text = "" if value is None else str(getattr(value, "value", value))
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
