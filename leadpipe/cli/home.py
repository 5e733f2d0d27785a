"""The home a command means: the one that was set up, or the demo's within it.

What lives here: falling back to the demo where nothing else was ever set up. What does not: what is in a home.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadpipe.settings import Settings

# The demo lives in this folder of the home that is used when the environment names none.
DEMO = "demo"


def home_set_up(settings: Settings) -> Path | None:
    """The home of the settings, or the demo's where only that was set up; None when neither was."""
    from leadpipe.store.server import EmbeddedServer

    if settings.database_url or EmbeddedServer(settings.home).is_created:
        return settings.home
    demo = settings.home / DEMO
    return demo if EmbeddedServer(demo).is_created else None
