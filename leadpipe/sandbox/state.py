"""What the whole sandbox shares: its clock, its scheduler, the book of accepted messages, faults, outgoing posts.

What lives here: state without a provider's own rules. What does not: any HTTP route.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.delivery import Delivery
from leadpipe.sandbox.faults import Faults
from leadpipe.sandbox.scheduler import Scheduler


@dataclass(kw_only=True)
class AcceptedMessage:
    """One message a provider accepted: the sandbox's truth.

    Attributes:
        to: address or E.164 number, without a channel's prefix.
        our_id: the id leadpipe gave it, where the provider carries one (SNS does not).
        is_delivered: it reaches a person; what was accepted may still bounce or be refused by a carrier.
    """

    provider: str
    channel: str
    to: str
    from_: str
    body: str
    subject: str = ""
    provider_id: str = ""
    our_id: str | None = None
    plan: str | None = None
    step: str | None = None
    occurrence: int | None = None
    accepted_at: datetime
    accepted_wall_at: datetime
    reply_to: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    is_delivered: bool = True

    def truth(self) -> dict[str, Any]:
        """The row of ``GET /_truth/messages``."""
        return {
            "provider": self.provider,
            "channel": self.channel,
            "to": self.to,
            "body": self.body,
            "accepted_at": iso(self.accepted_at),
            "accepted_wall_at": iso(self.accepted_wall_at),
            "plan": self.plan,
            "step": self.step,
            "occurrence": self.occurrence,
            "our_id": self.our_id,
        }


def iso(at: datetime) -> str:
    """ISO text in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Sandbox:
    """Shared state of one sandbox process."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.started_at = config.starts_at.astimezone(UTC)
        self.offset_seconds = self.started_at.timestamp() - time.time()
        self.scheduler = Scheduler(lambda: time.time() + self.offset_seconds)
        self.faults = Faults(config.seed)
        self.delivery = Delivery()
        self.accepted: list[AcceptedMessage] = []
        self.count_by_channel: Counter[str] = Counter()
        self.listeners: list[Callable[[AcceptedMessage], None]] = []

    def now(self) -> datetime:
        """Simulated now."""
        return datetime.fromtimestamp(time.time() + self.offset_seconds, UTC)

    def wall(self) -> datetime:
        """The wall clock."""
        return datetime.fromtimestamp(time.time(), UTC)

    def accept(self, message: AcceptedMessage) -> None:
        """Enter a message in the book and tell the population."""
        self.accepted.append(message)
        self.count_by_channel[message.channel] += 1
        for listener in self.listeners:
            listener(message)

    async def close(self) -> None:
        """End what is under way and release the connections."""
        await self.scheduler.close()
        await self.delivery.close()

    async def move_clock(self, *, jump_seconds: float = 0.0, offset_seconds: float | None = None) -> None:
        """Move the calendar. What is being posted arrives first; what is not yet, waits until our side knows."""
        async with self.delivery.paused():
            if offset_seconds is not None:
                self.offset_seconds = offset_seconds
            self.offset_seconds += jump_seconds
        self.scheduler.after(self.config.jump_hold_seconds, self.delivery.resume)
        self.scheduler.clock_moved()
