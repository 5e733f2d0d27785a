"""``leadpipe audit``: prove that the audit log is as it was written.

What lives here: arguments and printing. What does not: the checks (``audit.verify``), the sealing (``audit.seal``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.audit.verify import Verified

app = typer.Typer(help="The audit log: decisions, sends, consents, refusals, exports, erasures.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.callback()
def _group() -> None:
    """The audit log."""


@app.command()
def verify(
    head: Annotated[str, typer.Option("--head", help="A link noted earlier, NUMBER:HASH, which must be there.")] = "",
    as_json: AsJson = False,
) -> None:
    """Find a changed, missing or reordered row in the audit log and in the tables it covers. Exit 1 if there is one.

    Prints the newest link: noted elsewhere, it proves later that nothing was cut off (`--head`).

    Example: leadpipe audit verify --json
    """
    from leadpipe.audit import verify as audit
    from leadpipe.runtime import open_runtime

    with failing():
        wanted = audit.Head.parse(head) if head else None
        runtime = open_runtime()
        try:
            found = audit.verify(runtime.engine, head=wanted)
        finally:
            runtime.close()
    typer.echo(json.dumps(found.as_json()) if as_json else _words(found))
    if found.problems:
        raise typer.Exit(1)


def _words(found: Verified) -> str:
    lines = list(found.problems)
    state = "is not as it was written" if found.problems else "is as it was written"
    lines.append(
        f"the audit log {state}: {found.count_rows} rows in {found.count_seals} links, "
        f"{found.count_unsealed} written since"
    )
    if found.count_cleared:
        lines.append(f"{found.count_cleared} rows lost their details to an erasure; their hashes stand")
    if found.head:
        lines.append(f"newest link: {found.head}")
    return "\n".join(lines)
