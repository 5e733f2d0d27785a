"""``leadpipe backup`` and ``leadpipe restore``: one sealed file, and the system made from it again.

What lives here: arguments, progress, printing. What does not: the two themselves (``store.backup``, ``store.restore``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def backup(
    target: Annotated[Path | None, typer.Argument(metavar="[FILE|FOLDER]", help="Where to; a folder names it.")] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a pair of keys, print it and do nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Back up database, lake and models into one encrypted file, while everything runs.

    LEADPIPE_BACKUP_KEY is age's public key (age1...), so that a machine that is broken into gives no backup away; keep
    the secret one elsewhere, restoring needs it. What is not in it: .env, plan files, logs.

    Example: leadpipe backup /var/backups
    """
    from leadpipe.clock import WallClock
    from leadpipe.runtime import open_runtime
    from leadpipe.store.backup import back_up
    from leadpipe.store.sealed import new_key as make

    if new_key:
        secret, public = make()
        found = {"public": public, "secret": secret}
        _print(found, as_json, f"LEADPIPE_BACKUP_KEY={public}\n# keep elsewhere, restoring needs it:\n{secret}")
        return
    with failing():
        runtime = open_runtime()
        try:
            done = back_up(
                lake=runtime.lake,
                home=runtime.settings.home,
                target=(target or Path.cwd()).absolute(),
                key=runtime.settings.backup_key.get_secret_value(),
                now=WallClock().now,
                tell=lambda words: typer.echo(words, err=True),
            )
        finally:
            runtime.close()
    words = (
        f"{done.path}: {_megabytes(done.archive_bytes)}, of {done.at:%Y-%m-%d %H:%M:%S} UTC, ledger {done.revision}, "
        f"{_megabytes(done.dump_bytes)} of SQL, {done.count_lake_files} files of the lake "
        f"({_megabytes(done.lake_bytes)})"
    )
    _print(asdict(done), as_json, words)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `leadpipe backup` made.", dir_okay=False)],
    erasures: Annotated[
        Path | None, typer.Option("--erasures", help="The list of erasures; else LEADPIPE_ERASURES_PATH.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the system of a backup, in an empty LEADPIPE_HOME; it sends nothing until you say so.

    LEADPIPE_BACKUP_KEY is the secret key (AGE-SECRET-KEY-1...). Everything is proven by its checksum, and after any
    error the place is empty again. With LEADPIPE_DATABASE_URL that database must be empty too. Whoever is on the list
    of erasures is erased again.

    Example: LEADPIPE_HOME=/srv/leadpipe leadpipe restore leadpipe-20261125-020000.leadpipe.age
    """
    from leadpipe.clock import WallClock
    from leadpipe.errors import ConfigurationError
    from leadpipe.privacy import erasure_list
    from leadpipe.runtime import Runtime
    from leadpipe.setting_loading import load_settings
    from leadpipe.store.restore import restore as make_again

    with failing():
        settings = load_settings()
        key = settings.backup_key.get_secret_value()
        if not key:
            raise ConfigurationError("LEADPIPE_BACKUP_KEY is empty; set it to the secret key of the backup")
        if not source.is_file():
            raise ConfigurationError(f"{source} is no file")
        path = erasures or erasure_list.path_of(settings)
        if erasures and not erasures.is_file():
            raise ConfigurationError(f"{erasures} is no file")
        listed = erasure_list.read(path)
        done = make_again(
            settings=settings,
            source=source,
            key=key,
            now=WallClock().now(),
            afterwards=[erasure_list.afterwards(listed)],
            tell=_tell,
        )
        count_erased = _erase_again(Runtime(settings.model_copy(update={"erasures_path": path})))
    found: dict[str, Any] = {name: value for name, value in asdict(done).items() if name != "database_url"}
    found["erased_again"] = count_erased
    told = f"{count_erased} people erased again by {path}." if listed else f"No list of erasures at {path}: people who"
    told += "" if listed else " were erased since the backup are back, unless you name the list by --erasures."
    words = (
        f"Restored: the state of {done.at:%Y-%m-%d %H:%M:%S} UTC, ledger {done.revision}, "
        f"{done.count_lake_files} files of the lake ({_megabytes(done.lake_bytes)}).\n"
        f"{told}\n"
        "Nobody has the right to send. Start it with `leadpipe up`; once the former system sends no more, "
        "`leadpipe sending take-over` says what will follow and takes the right."
    )
    _print(found, as_json, words)


def _erase_again(runtime: Runtime) -> int:
    from leadpipe.privacy import erasure_list

    try:
        return erasure_list.finish(runtime, tell=_tell)
    finally:
        runtime.close()


def _tell(words: str) -> None:
    typer.echo(words, err=True)


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


def _print(found: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json.dumps(found, default=str) if as_json else words)
