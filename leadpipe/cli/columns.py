"""``--column OURS=THEIRS``: what a file of somebody else's calls the columns we know.

What lives here: reading the option. What does not: which columns there are (each reader of files), reading a file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import typer


def read_columns(given: Sequence[str] | None, known: Collection[str]) -> dict[str, str]:
    """Their name of each column of ours that was given.

    Raises:
        typer.Exit: one is no pair, or not of a column that is known; told on stderr, exit 2.
    """
    pairs: dict[str, str] = {}
    for each in given or ():
        ours, is_pair, theirs = each.partition("=")
        if not is_pair or ours not in known:
            typer.echo(f"--column {each} is not OURS=THEIRS; ours are {', '.join(known)}", err=True)
            raise typer.Exit(2)
        pairs[ours] = theirs
    return pairs
