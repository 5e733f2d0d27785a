"""The running system's parts for the length of one command.

What lives here: opening and closing them. What does not: what they are (``runtime``), errors in words (``failing``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime


@contextmanager
def opened_runtime() -> Generator[Runtime]:
    """The runtime of the settings in the environment and in ``.env``, closed with the block.

    Raises:
        ConfigurationError: the settings are wrong.
    """
    from leadpipe.runtime import open_runtime

    runtime = open_runtime()
    try:
        yield runtime
    finally:
        runtime.close()
