"""``leadpipe person``: everything held about somebody, its erasure, and what they asked for.

What lives here: arguments, files and printing. What does not: gathering (``privacy.export``), erasing
(``privacy.erase``), the law's clock (``privacy.requests``).
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing
from leadpipe.errors import Rejected

if TYPE_CHECKING:
    from leadpipe.privacy.certificate import Erased, Plan
    from leadpipe.privacy.requests import Request
    from leadpipe.runtime import Runtime

app = typer.Typer(help="A person's data: requests, export, erase.", no_args_is_help=True)

PersonId = Annotated[int, typer.Argument(metavar="PERSON", help="Person id, as in Follow Up Boss.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.command()
def export(
    person: PersonId,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the two files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write everything held about a person: a JSON file for programs and a text for reading.

    With `--json` it is printed instead. The files hold personal data: hand them over, then delete them. Exit 1 when the
    ledger does not know the person.

    Example: leadpipe person export 42 --out ./for-the-person
    """
    from leadpipe.privacy import export as privacy
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            with _known():
                made = privacy.export(runtime, person)
            if as_json:
                typer.echo(made.as_json())
                return
            paths = privacy.write(made, out or Path(f"person-{person}"))
        finally:
            runtime.close()
    typer.echo(f"{made.count_rows} records about person {person}: {paths[0]} for programs, {paths[1]} for reading")


@app.command()
def erase(
    person: PersonId,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would go.")] = False,
    reason: Annotated[str, typer.Option(help="E.g. the number of the request; no names, no addresses.")] = "",
    no_scan: Annotated[
        bool, typer.Option("--no-scan", help="Do not look before and after; nothing is proven.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person from ledger, lake, logs and runs, and prove it by reading every file. Without `--yes`: a plan.

    Merged records go together. Salted hashes of their addresses stay, so that they are never contacted again. It ends
    time travel in the lake for everybody, and writes tables anew: for a minute or so, writers wait. A stopped erasure
    goes on when it is asked for again. Exit 1 when something was still found, or the ledger does not know the person.

    Example: leadpipe person erase 42 --reason "request 7" --yes
    """
    from leadpipe.privacy import erase as privacy
    from leadpipe.runtime import open_runtime

    with failing():
        runtime = open_runtime()
        try:
            with _known():
                if not yes:
                    _show_plan(privacy.plan(runtime, person), as_json)
                    return
                done = privacy.erase(
                    runtime,
                    person,
                    reason=reason,
                    with_scan=not no_scan,
                    tell=_tell,
                )
            path = _write_certificate(runtime, done)
        finally:
            runtime.close()
    typer.echo(json.dumps(done.as_json(), default=str) if as_json else _words(done, path))
    if done.after is not None and not done.after.is_clean:
        raise typer.Exit(1)


class Asked(StrEnum):
    """What a person can ask about their own data."""

    DELETE = "delete"
    EXPORT = "export"


@app.command()
def request(
    person: PersonId,
    kind: Annotated[Asked, typer.Option(help="To be deleted, or told everything held.")],
    received: Annotated[
        str, typer.Option("--received", metavar="TIME", help="When they asked (2026-11-24T09:00, UTC); empty: now.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Take in what a person asks about their own data: the law's clock starts, and who asked to be deleted is silent.

    Leads who ask in a reply are taken in by themselves. Exit 1 when the ledger does not know the person.

    Example: leadpipe person request 42 --kind delete --received 2026-11-24T09:00
    """
    from leadpipe.cli.opened import opened_runtime
    from leadpipe.cli.times import moment_of
    from leadpipe.privacy.requests import receive

    at = moment_of(received, "--received")
    with failing(), opened_runtime() as runtime, _known(), runtime.engine.begin() as connection:
        now, zone = runtime.clock.now(), runtime.settings.team_timezone
        made = receive(connection, person, kind=kind.value, received_at=at or now, now=now, zone=zone)
    typer.echo(json.dumps(made.as_json(), default=str) if as_json else _asked(made))


@app.command()
def requests(as_json: AsJson = False) -> None:
    """Requests about people's own data that nothing has answered yet, the most urgent first.

    Example: leadpipe person requests
    """
    from leadpipe.cli.opened import opened_runtime
    from leadpipe.privacy.requests import open_requests

    with failing(), opened_runtime() as runtime, runtime.engine.connect() as connection:
        found = open_requests(connection)
    if as_json:
        typer.echo(json.dumps([each.as_json() for each in found], default=str))
    else:
        typer.echo("\n".join(map(_asked, found)) or "no request is open")


def _asked(made: Request) -> str:
    return (
        f"person {made.person_id} asked on {made.received_at:%Y-%m-%d} ({made.kind}): tell them by "
        f"{made.acknowledge_by} that you have it, done by {made.done_by} with `{made.command}`"
    )


def _tell(words: str) -> None:
    typer.echo(words, err=True)


class _known:  # noqa: N801 - reads as the statement it is
    """Nobody of that id: exit 1, as a finding."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Rejected):
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(plan.as_json()))
        return
    found = plan.as_json()
    lines = [f"person {found['person_id']}: records {', '.join(map(str, found['records']))}, nothing was changed"]
    lines += [f"  ledger.{table}: {count}" for table, count in plan.ledger.items()]
    lines += [f"  {table}: {count}" for table, count in plan.lake.items()]
    if found["shared_with"]:
        lines.append(
            f"an address is also that of person {', '.join(map(str, found['shared_with']))}: it stays there, and "
            "leadpipe sends nothing to it any more, for them neither"
        )
    lines.append(f"do it: leadpipe person erase {found['person_id']} --yes")
    typer.echo("\n".join(lines))


def _write_certificate(runtime: Runtime, done: Erased) -> Path:
    from leadpipe.privacy.certificate import path_of

    path = path_of(runtime.settings, done.erasure_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(json.dumps(done.as_json(), indent=1, default=str) + "\n", encoding="utf-8")
    return path


def _words(done: Erased, path: Path) -> str:
    lines = [
        f"person {done.person_id} is erased: {sum(done.ledger.values())} rows of the ledger, "
        f"{sum(done.lake.values())} of the lake, {done.files_deleted} files of the lake deleted"
    ]
    if done.before is not None:
        lines.append(f"found before: {', '.join(sorted(done.before.found)) or 'nothing, not even before'}")
    if done.after is not None:
        looked = sum(count for name, count in done.after.looked_at.items() if name.startswith("files"))
        places = ", ".join(sorted(done.after.found))
        lines.append(f"STILL THERE: {places}" if places else f"found now: nothing, in {looked} files and every table")
        lines += [f"not looked at: {part}" for part in done.after.not_looked_at]
    lines += [f"not done: {part}" for part in done.not_done]
    if done.shared_with:
        lines.append(f"an address stays with person {', '.join(map(str, done.shared_with))}; nothing is sent to it")
    lines.append(f"certificate: {path}")
    return "\n".join(lines)
