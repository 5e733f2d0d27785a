"""``leadpipe policy``: judge cases from a file by the same rules as every message, and past messages by other rules.

What lives here: arguments, files and printing. What does not: any rule (``policy``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.explain.policy_diff import Difference, Group
    from leadpipe.policy.blackout import Blackout
    from leadpipe.policy.pack import PolicySettings

app = typer.Typer(
    help="May a message go? The rules, on cases of your own and on past messages.",
    epilog="Example: leadpipe policy check --jsonl cases.jsonl",
    no_args_is_help=True,
)

# What of the settings a verdict depends on; a settings file may hold the other settings too, they do not matter here.
_TEXTS = ("brokerage_name", "postal_address", "a2p_campaign_id", "sms_provider", "assistant_name")
_LISTS = ("sms_disabled_states",)
_BY_STATE = ("licences", "licence_links")
_DOMAINS = ("link_domains", "email_from", "reply_domain", "public_base_url")
# A file that names one of these is of a team that deals in the homes of some states.
_SAY_WHERE = {"postal_address", "licences"}
_PREFIX = "leadpipe_"


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


@app.command()
def diff(
    pack_a: Annotated[
        str, typer.Argument(metavar="PACK_A", help="A pack's file, or the name of one that comes along.")
    ],
    pack_b: Annotated[str, typer.Argument(metavar="PACK_B", help="The other pack.")],
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Only verdicts given since (2026-11-25T09:00, UTC).")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Message ids named of each group.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Which past messages would have been judged otherwise: every kept case under both packs, as of its own moment.

    Example: leadpipe policy diff 2026-11-24 draft.yaml --since 2026-11-01
    """
    from leadpipe.cli.times import moment_of
    from leadpipe.explain.policy_diff import compare
    from leadpipe.policy.pack_file import named_pack
    from leadpipe.runtime import open_runtime

    begin = moment_of(since, "--since") or datetime.min.replace(tzinfo=UTC)
    with failing():
        a, b = named_pack(pack_a), named_pack(pack_b)
        runtime = open_runtime()
        try:
            with runtime.engine.connect() as connection:
                found = compare(connection, a, b, since=begin, limit=limit, progress=_progress())
        finally:
            runtime.close()
    named = {"a": pack_a, "b": pack_b, "since": begin.isoformat() if since else None}
    typer.echo(json.dumps(named | found.as_json(), indent=2) if as_json else _words(pack_a, pack_b, found))


def _progress() -> Callable[[int], None]:
    """Says on a terminal how far it is."""
    is_watched = sys.stderr.isatty()

    def tell(count: int) -> None:
        if is_watched:
            typer.echo(f"\r{count} messages", nl=False, err=True)

    return tell


def _words(pack_a: str, pack_b: str, found: Difference) -> str:
    from leadpipe.explain.policy_diff import most

    lines = [
        f"{found.count_messages} messages, judged {found.count_verdicts} times, again under {pack_a} and {pack_b}:",
        f"{found.count_alike:>8}  judged alike",
    ]
    for group in most(found.changed):
        lines += [f"{group.count_messages:>8}  {group.was} -> {group.now}", *_ids(group)]
    for group in most(found.not_judged):
        lines += [f"{group.count_messages:>8}  could not be judged again: {group.now}", *_ids(group)]
    return "\n".join(lines)


def _ids(group: Group) -> list[str]:
    more = group.count_messages - len(group.message_ids)
    rest = [f"          and {more} more"] if more and group.message_ids else []
    return [f"          {each}" for each in group.message_ids] + rest


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
    from leadpipe.policy.home_states import office_state
    from leadpipe.policy.pack import DEMO_POLICY

    if path is None:
        return DEMO_POLICY
    named = {name.lower().removeprefix(_PREFIX): value for name, value in _read(path).items()}
    _refuse_unknown(path, named)
    changes: dict[str, Any] = {name: str(named[name] or "") for name in _TEXTS if name in named}
    if "blackouts" in named:
        changes["blackouts"] = _blackouts(path, named["blackouts"])
    changes |= _of_settings({name: named[name] for name in (*_LISTS, *_BY_STATE, *_DOMAINS) if name in named}, path)
    if named.keys() & _SAY_WHERE:
        changes["office_state"] = office_state(changes.get("postal_address", DEMO_POLICY.postal_address))
    return replace(DEMO_POLICY, **changes)


def _blackouts(path: Path, value: object) -> tuple[Blackout, ...]:
    from pydantic import TypeAdapter, ValidationError

    from leadpipe.errors import ConfigurationError
    from leadpipe.policy.blackout import Blackout, blackout_list
    from leadpipe.setting_sources import words_of

    try:
        return TypeAdapter(tuple[Blackout, ...]).validate_python(blackout_list(value) or ())
    except ValidationError as error:
        said = "; ".join(words_of(problem) for problem in error.errors(include_url=False))
        raise ConfigurationError(f"--settings {path}: blackouts: {said}") from None
    except ValueError as error:
        raise ConfigurationError(f"--settings {path}: blackouts: {error}") from None


def _of_settings(named: dict[str, Any], path: Path) -> dict[str, Any]:
    """States, licences and domains as the running system reads them; the demo's stay where the file names none."""
    from pydantic import ValidationError

    from leadpipe.errors import ConfigurationError
    from leadpipe.policy.pack import own_domains
    from leadpipe.setting_sources import faults_of
    from leadpipe.settings import Settings

    given = {
        name: ",".join(f"{state}={text}" for state, text in value.items()) if isinstance(value, dict)
        else ",".join(map(str, value)) if isinstance(value, list) else str(value or "")
        for name, value in named.items()
    }  # fmt: skip
    defaults = {name: Settings.model_fields[name].default for name in (*_LISTS, *_BY_STATE, *_DOMAINS)}
    try:
        # Every field of these is given, so that nothing of the environment fills a gap.
        read = Settings(_env_file=None, **(defaults | given))  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        said = "; ".join(faults_of(error, lambda _: "", told=set(given)))
        raise ConfigurationError(f"--settings {path}: {said}") from None
    changes: dict[str, Any] = {name: frozenset(getattr(read, name)) for name in _LISTS if name in given}
    if given.keys() & set(_BY_STATE):
        changes |= {"licences": read.licences, "licence_links": read.licence_links}
    if given.keys() & set(_DOMAINS):
        changes["own_domains"] = own_domains(read)
    return changes


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
    from leadpipe.setting_sources import read_env_file

    try:
        if path.suffix.lower() in {".yaml", ".yml", ".json"}:
            read = yaml.safe_load(path.read_text(encoding="utf-8"))
            if isinstance(read, dict):
                return {str(name): value for name, value in read.items()}
            raise ConfigurationError(f"--settings {path} holds no names with values")
        path.read_text(encoding="utf-8")
        if faults := read_env_file(path).faults:
            raise ConfigurationError(f"--settings: {'; '.join(faults)}")
        values = dotenv_values(path, interpolate=False)
        return {name: value for name, value in values.items() if name.lower().startswith(_PREFIX)}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"--settings {path} cannot be read: {error}") from error
