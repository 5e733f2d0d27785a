"""``leadpipe doctor``: is every key, hook, number, domain and table as it should be?

What lives here: the command, the order of the checks, how a finding is printed. What does not: the checks themselves
(``checks_machine``, ``checks_stores``, ``checks_life``, ``checks_crm``, ``checks_senders``, ``checks_twilio``,
``checks_words``).
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.cli.finding import Check, Finding
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
    env_file: Annotated[Path | None, typer.Option(help="File of settings.")] = Path(".env"),
) -> None:
    """Check packages, stores, settings, keys, hooks, numbers and domains; each failure names its cure.

    Reads only: nothing is created, changed or sent; an embedded PostgreSQL that was down is started to be looked at and
    stopped again. Ends with 1 when something is wrong.

    Example: leadpipe doctor
    """
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime(env_file=env_file)
    with failing(), server_as_found(runtime.settings):
        try:
            findings = examine(runtime, every_check(env_file))
        finally:
            runtime.close()
    wrong = [finding for finding in findings if finding.state == "wrong"]
    if as_json:
        rows = [
            {"check": finding.name, "state": finding.state, "words": finding.words, "cure": finding.cure}
            for finding in findings
        ]
        typer.echo(json.dumps({"ok": not wrong, "checks": rows}, indent=2))
    else:
        for finding in findings:
            cure = f" -> {finding.cure}" if finding.cure else ""
            typer.echo(f"{MARKS[finding.state]}  {finding.name:<20} {finding.words}{cure}")
        typer.echo("All is right." if not wrong else f"{len(wrong)} things are wrong.")
    raise typer.Exit(1 if wrong else 0)


@contextmanager
def server_as_found(settings: Settings) -> Generator[None]:
    """An embedded server that the block starts does not outlive it, unless somebody else has come to use it."""
    from leadpipe.cli.supervisor import is_supervised
    from leadpipe.store.server import EmbeddedServer

    server = EmbeddedServer(settings.home)
    is_looked_at = not settings.database_url and server.is_created and not server.status().is_running
    try:
        yield
    finally:
        if is_looked_at and not is_supervised(settings.home) and not server.is_used():
            server.stop()


def every_check(env_file: Path | None = None) -> list[Check]:
    """All checks in the order they are told: what others stand on comes first.

    Args:
        env_file: the file of settings, whose names are looked at too.
    """
    from leadpipe.cli import (
        checks_crm,
        checks_life,
        checks_machine,
        checks_senders,
        checks_stores,
        checks_twilio,
        checks_words,
    )

    rooms = (checks_machine, checks_stores, checks_life, checks_crm, checks_senders, checks_twilio, checks_words)

    def unknown_settings(_: Runtime) -> Finding:
        return checks_machine.unknown_settings(env_file)

    return [unknown_settings, *(check for room in rooms for check in room.CHECKS)]


def examine(runtime: Runtime, checks: list[Check]) -> list[Finding]:
    """One finding per check; a check that breaks is itself a finding and stops no other."""
    from leadpipe.cli.finding import Finding
    from leadpipe.errors import LeadpipeError

    found: list[Finding] = []
    for check in checks:
        try:
            found.append(check(runtime))
        except LeadpipeError as error:
            name = check.__name__.replace("_", " ")
            found.append(
                Finding(name=name, state="wrong", words=str(error), cure="put that right and run doctor again")
            )
        except Exception as error:  # noqa: BLE001 - whatever breaks here is what the user wants to know
            name = check.__name__.replace("_", " ")
            words = f"cannot be checked: {type(error).__name__}"
            found.append(Finding(name=name, state="wrong", words=words, cure="see the log, or report it as a bug"))
    return found
