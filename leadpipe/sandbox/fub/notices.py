"""The account's notifications: signed, retried, and repeated, delayed, reordered or lost as the faults say.

What lives here: delivery of webhooks. What does not: who subscribes (``hooks_api``), what changed (``store``). Facts:
FUB sheet 6.3 to 6.5.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from leadpipe.sandbox.fub.fields import Row
from leadpipe.sandbox.fub.store import FubStore

if TYPE_CHECKING:
    from datetime import datetime

    from leadpipe.sandbox.state import Sandbox

# After a failed delivery: 1, 5, 5, 10, 30 minutes of the calendar.
RETRY_SECONDS = (60, 300, 300, 600, 1800)
TIMEOUT_SECONDS = 10
# How many ids one notification names at most; the real number is not known.
CHUNK = 50
KEPT = 200_000
FAILING_FOR = timedelta(days=9)  # two days over half, then a week without recovery


def signature(body: bytes, key: str) -> str:
    """``FUB-Signature``: hex HMAC-SHA256 over the padded base64 of the raw body."""
    return hmac.new(key.encode(), base64.b64encode(body), hashlib.sha256).hexdigest()


@dataclass
class _Health:
    """A hook's record over the last two days."""

    count_ok: int = 0
    count_failed: int = 0
    failing_since: datetime | None = None


class Notices:
    """Turns changes of the store into signed notifications.

    Attributes:
        sent: past notifications by event id without dashes.
        answered: ids of those answered with success, in order; nothing of them may be lost.
    """

    def __init__(self, sandbox: Sandbox, store: FubStore) -> None:
        self._sandbox = sandbox
        self._store = store
        self._dice = random.Random(sandbox.config.seed)
        self._pending: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._health: dict[int, _Health] = defaultdict(_Health)
        self.sent: dict[str, Row] = {}
        self.answered: dict[str, None] = {}
        self.count_delivered = 0
        store.notify = self.notify

    def notify(self, event: str, ids: list[int], data: Row | None) -> None:
        """Queue the notification of a change; the same kind within a tenth of a second shares one."""
        if not any(True for _ in self._listening(event)):
            return
        key = (event, json.dumps(data, sort_keys=True))
        if not self._pending[key]:
            self._sandbox.scheduler.after(0.1, lambda: self._flush(key))
        self._pending[key] += ids

    def _listening(self, event: str) -> list[Row]:
        hooks = self._store.rows["webhooks"].rows.values()
        return [hook for hook in hooks if hook["event"] == event and hook["status"] == "Active"]

    def _flush(self, key: tuple[str, str]) -> None:
        event, data = key[0], json.loads(key[1])
        ids = list(dict.fromkeys(self._pending.pop(key, [])))
        for start in range(0, len(ids), CHUNK):
            payload = self._payload(event, ids[start : start + CHUNK], data)
            for hook in self._listening(event):
                self._send_later(hook["id"], payload["eventId"], _written(payload, self._dice.random() < 0.5))

    def _payload(self, event: str, ids: list[int], data: Row | None) -> Row:
        collection = "people" if event.startswith("people") else event
        for change in ("Created", "Updated", "Deleted", "Opened", "Clicked", "Unsubscribed"):
            collection = collection.removesuffix(change)
        named: list[int] | list[str] = [str(n) for n in ids] if self._dice.random() < 0.05 else ids
        uri = f"https://api.followupboss.com/v1/{collection}?id={','.join(map(str, ids))}"
        payload: Row = {
            "eventId": str(uuid.uuid4()), "eventCreated": self._sandbox.now().strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "event": event, "resourceIds": named, "uri": None if event.endswith("Deleted") else uri,
        }  # fmt: skip
        if data:
            payload["data"] = data
        if len(self.sent) >= KEPT:
            self.sent.pop(next(iter(self.sent)))
        shown = {key: payload[key] for key in ("eventCreated", "event", "resourceIds", "uri")}
        self.sent[payload["eventId"].replace("-", "")] = {"id": payload["eventId"], **shown}
        return payload

    def _send_later(self, hook_id: int, event_id: str, body: bytes) -> None:
        faults, scheduler = self._sandbox.faults, self._sandbox.scheduler
        if faults.strikes("fub_webhook_lost"):
            return
        delay = 0.0
        if faults.strikes("fub_webhook_delayed"):
            delay += faults.value("fub_webhook_delayed", 20.0)
        if faults.strikes("fub_webhook_reordered"):
            delay += 0.5 + 2.0 * self._dice.random()
        scheduler.after(delay, lambda: self._deliver(hook_id, event_id, body, 0))
        if faults.strikes("fub_webhook_repeated"):
            scheduler.after(delay + 1.0, lambda: self._deliver(hook_id, event_id, body, 0))

    async def _deliver(self, hook_id: int, event_id: str, body: bytes, attempt: int) -> None:
        hook = self._store.rows["webhooks"].get(hook_id)
        if hook is None or hook["status"] != "Active":
            return
        key = signature(body, self._sandbox.config.fub_system_key)
        headers = {"Content-Type": "application/json", "FUB-Signature": key}
        answer = await self._sandbox.delivery.post(hook["url"], body, headers, timeout=TIMEOUT_SECONDS)
        self._judge(hook, is_success=answer.is_success)
        if answer.is_success:
            self.count_delivered += 1
            self.answered[event_id] = None
        elif answer.status in {406, 410}:
            self._store.rows["webhooks"].pop(hook_id)
        elif attempt < len(RETRY_SECONDS):
            self._sandbox.scheduler.after_simulated(
                RETRY_SECONDS[attempt], lambda: self._deliver(hook_id, event_id, body, attempt + 1)
            )

    def _judge(self, hook: Row, *, is_success: bool) -> None:
        """A hook that fails more often than not, for nine days on end, is disabled."""
        health = self._health[hook["id"]]
        health.count_ok, health.count_failed = health.count_ok + is_success, health.count_failed + (not is_success)
        if health.count_ok + health.count_failed > 1_000:
            health.count_ok, health.count_failed = health.count_ok // 2, health.count_failed // 2
        if health.count_failed <= health.count_ok:
            health.failing_since = None
        elif health.failing_since is None:
            health.failing_since = self._sandbox.now()
        elif self._sandbox.now() - health.failing_since > FAILING_FOR:
            hook["status"] = "Disabled"


def _written(payload: Row, escapes_slashes: bool) -> bytes:
    """The body's bytes; whether slashes are escaped is not known, so both occur (6.4)."""
    text = json.dumps(payload, separators=(",", ":"))
    return (text.replace("/", "\\/") if escapes_slashes else text).encode()
