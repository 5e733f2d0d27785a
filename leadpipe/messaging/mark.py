"""How far the ledger was when this home last saw it: what shows that it has gone back.

What lives here: the mark in the home. What does not: what follows from it (``right``).

A database that is restored in place keeps its address and its numbers, and nothing in it can say that it is older than
it was. The home of a sender is not in the database (or, with the embedded one, is replaced by a copy, which is known by
its place), so it can. The mark is the number of the newest committed message event: committed numbers never go back.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "sending_mark.json"


def read(home: Path, *, ledger_id: str, epoch: int) -> int:
    """The mark of this ledger under the right's present epoch; 0 when this home never saw it.

    Raises:
        ConfigurationError: the file is not one of ours.
    """
    noted = _read(home / FILE)
    return int(noted.get("mark", 0)) if (noted.get("ledger"), noted.get("epoch")) == (ledger_id, epoch) else 0


def write(home: Path, *, ledger_id: str, epoch: int, mark: int) -> None:
    """Keep the mark; of two senders that write at once either may win, which loses moments, not the point.

    Raises:
        ConfigurationError: the home cannot be written.
    """
    path, wanted = home / FILE, {"ledger": ledger_id, "epoch": epoch, "mark": mark}
    if _read(path) == wanted:
        return
    # A process may drain in several threads, and each must put its own part in place.
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        home.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(wanted))
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}); a sender keeps there how far the ledger was: make "
            "LEADPIPE_HOME a folder that it may write to"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be read; delete it if the database was not restored since") from error
    return found if isinstance(found, dict) else {}
