"""``leadpipe policy``: judge cases from a file by the same rules as every message.

What lives here: arguments, files and printing. What does not: any rule (``policy``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.policy.pack import PolicySettings

app = typer.Typer(
    help="May a message go? The rules, on cases of your own.",
    epilog="Example: leadpipe policy check --jsonl cases.jsonl",
    no_args_is_help=True,
)

# What of the settings a verdict depends on; a settings file may hold the other settings too, they do not matter here.
_TEXTS = ("brokerage_name", "postal_address", "a2p_campaign_id", "sms_provider")
_LISTS = ("sms_disabled_states",)
_PREFIX = "leadpipe_"


@app.callback()
def _group() -> None:
    """Keep `check` a subcommand while it is the only one."""


@app.command()
def check(
    jsonl: Annotated[str, typer.Option("--jsonl", help="File of cases, one JSON object a line; - reads stdin.")],
    settings: Annotated[
        Path | None, typer.Option("--settings", help="LEADPIPE_NAME=value lines, or YAML; empty: the demo's settings.")
    ] = None,
) -> None:
    """Judge each case and print one verdict a line, in the same order.

    Exit 1 when a line was no case: its answer says what is wrong with it.

    Example: leadpipe policy check --jsonl cases.jsonl --settings .env
    """
    from leadpipe.policy.check import check_lines

    count_bad = 0
    with failing(), _lines(jsonl) as lines:
        policy = _policy(settings)
        for answer in check_lines(lines, policy):
            count_bad += "error" in answer
            typer.echo(json.dumps(answer, ensure_ascii=False))
    if count_bad:
        typer.echo(f"{count_bad} line{'s' if count_bad > 1 else ''} could not be judged; see their answers", err=True)
        raise typer.Exit(1)


@contextmanager
def _lines(name: str) -> Generator[Iterator[str]]:
    from leadpipe.errors import BadRecord

    if name == "-":
        yield iter(sys.stdin)
        return
    try:
        with Path(name).open(encoding="utf-8") as file:
            yield iter(file)
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecord(f"--jsonl {name} cannot be read: {error}; give a file of UTF-8 text, or -") from error


def _policy(path: Path | None) -> PolicySettings:
    """The demo's policy settings, changed by what the file names."""
    from leadpipe.policy.pack import DEMO_POLICY

    if path is None:
        return DEMO_POLICY
    named = {name.lower().removeprefix(_PREFIX): value for name, value in _read(path).items()}
    _refuse_unknown(path, named)
    changes: dict[str, Any] = {name: str(named[name] or "") for name in _TEXTS if name in named}
    for name in _LISTS:
        if name in named:
            value = named[name]
            parts = value if isinstance(value, list) else str(value or "").split(",")
            changes[name] = frozenset(str(part).strip().upper() for part in parts if str(part).strip())
    return replace(DEMO_POLICY, **changes)


def _refuse_unknown(path: Path, names: Iterable[str]) -> None:
    """A mistyped name would leave the demo's value in force, and every verdict would seem to be of the file."""
    import difflib

    from leadpipe.errors import ConfigurationError
    from leadpipe.settings import Settings

    known = Settings.model_fields
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else "; docs/configuration.md has all"
            raise ConfigurationError(f"--settings {path}: {name} is no setting{hint}")


def _read(path: Path) -> dict[str, Any]:
    """Names and values of the file; of a .env file those of ours, it may serve other programs too."""
    import yaml
    from dotenv import dotenv_values

    from leadpipe.errors import ConfigurationError

    try:
        if path.suffix.lower() in {".yaml", ".yml", ".json"}:
            read = yaml.safe_load(path.read_text(encoding="utf-8"))
            if isinstance(read, dict):
                return {str(name): value for name, value in read.items()}
            raise ConfigurationError(f"--settings {path} holds no names with values")
        path.read_text(encoding="utf-8")
        values = dotenv_values(path, interpolate=False)
        return {name: value for name, value in values.items() if name.lower().startswith(_PREFIX)}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"--settings {path} cannot be read: {error}") from error
