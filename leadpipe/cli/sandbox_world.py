"""A system and the sandbox it works against, each part opened when first used.

What lives here: what every such world has. What does not: the demo's world (``demo_world``), the tormented one
(``chaos.world``).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from leadpipe.cli.system import System
    from leadpipe.runtime import Runtime
    from leadpipe.sandbox.config import SandboxConfig
    from leadpipe.sandbox.control import SandboxControl


ANSWERS, WEIGHTS = ("no", "no_data", "yes"), (980, 15, 5)


@dataclass(kw_only=True)
class SandboxWorld:
    """One system and its sandbox; use it inside ``closing``."""

    system: System
    config: SandboxConfig

    _closes: ClassVar[tuple[str, ...]] = ("sandbox", "runtime")

    @cached_property
    def runtime(self) -> Runtime:
        """Ledger, lake, clock and clients of whoever drives the system."""
        from leadpipe.runtime import Runtime

        return Runtime(self.system.settings)

    @cached_property
    def sandbox(self) -> SandboxControl:
        """The sandbox from the outside."""
        from leadpipe.sandbox.control import SandboxControl

        return SandboxControl(self.config.base_url)

    def look_numbers_up(self) -> None:
        """Import what the reassigned-numbers database would say of the numbers there: few changed hands."""
        from leadpipe.messaging.number_checks import REASSIGNED, import_file

        now = self.runtime.clock.now()
        dice = random.Random(self.config.seed)  # noqa: S311 - invented answers, to be the same each time
        path = self.system.home / "reassigned.csv"
        numbers = sorted({number for lead in self.sandbox.leads() for number in lead["phones"]})
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("number", "result"))
            writer.writerows((number, dice.choices(ANSWERS, WEIGHTS)[0]) for number in numbers)
        import_file(self.runtime.engine, path, which=REASSIGNED, day=now.date(), now=now)

    @contextmanager
    def closing(self) -> Generator[None]:
        """Close at the end what was opened."""
        try:
            yield
        finally:
            for name in self._closes:
                if name in self.__dict__:
                    self.__dict__[name].close()
