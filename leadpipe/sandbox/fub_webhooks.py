"""The fake account's webhooks: signed, retried, repeated, reordered or lost as the faults say.

What lives here: delivery. What does not: who subscribes (``fub``), what changed (``fub_store``). Facts: FUB sheet 6.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import httpx

from leadpipe.sandbox.fub_store import FubStore

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
# After a failed delivery: 1, 5, 5, 10, 30 minutes (sheet 6.5), in simulated speed.
RETRY_SECONDS = (60, 300, 300, 600, 1800)


def signature(body: bytes, key: str) -> str:
    """``FUB-Signature``: hex HMAC-SHA256 over the padded base64 of the raw body."""
    return hmac.new(key.encode(), base64.b64encode(body), hashlib.sha256).hexdigest()


class WebhookSender:
    """Turns changes of the store into signed notifications."""

    def __init__(self, sandbox: Sandbox, store: FubStore) -> None:
        self._sandbox = sandbox
        self._store = store
        self.retry_scale = 0.02
        self._pending: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.answered: dict[str, None] = {}
        """Ids of the events whose notification was answered with success, in order: nothing of them may be lost."""
        store.notify = self.notify

    def notify(self, event: str, ids: list[int], data: Row | None) -> None:
        """Queue notifications of one change; changes within a tenth of a second share one."""
        if not any(hook["event"] == event and hook["status"] == "Active" for hook in self._hooks()):
            return
        key = (event, json.dumps(data, sort_keys=True))
        if not self._pending[key]:
            self._sandbox.scheduler.after(0.1, lambda: self._flush(key))
        self._pending[key] += ids

    def _hooks(self) -> list[Row]:
        return list(self._store.rows["webhooks"].values())

    async def _flush(self, key: tuple[str, str]) -> None:
        event, data = key[0], json.loads(key[1])
        ids = list(dict.fromkeys(self._pending.pop(key, [])))
        for start in range(0, len(ids), 50):
            chunk = ids[start : start + 50]
            for hook in self._hooks():
                if hook["event"] == event and hook["status"] == "Active":
                    self._send_later(hook["id"], self._body(event, chunk, data))

    def _body(self, event: str, ids: list[int], data: Row | None) -> bytes:
        collection = "people" if event.startswith("people") else event.removesuffix("Created").removesuffix("Updated")
        base = f"{self._sandbox.config.base_url}/fub/v1/{collection}?id="
        payload: Row = {
            "eventId": str(uuid.UUID(int=self._sandbox.random.getrandbits(128))),
            "eventCreated": self._sandbox.now().strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "event": event,
            "resourceIds": ids,
            "uri": None if event.endswith("Deleted") else base + ",".join(map(str, ids)),
        }
        if data:
            payload["data"] = data
        self._store.rows["webhookEvents"][len(self._store.rows["webhookEvents"]) + 1] = payload
        return json.dumps(payload, separators=(",", ":")).encode()

    def _send_later(self, hook_id: int, body: bytes) -> None:
        faults = self._sandbox.faults
        if faults.strikes("fub_webhook_lost"):
            return
        delay = 2.0 if faults.strikes("fub_webhook_reordered") else 0.0
        self._sandbox.scheduler.after(delay, lambda: self._deliver(hook_id, body, 0))
        if faults.strikes("fub_webhook_repeated"):
            self._sandbox.scheduler.after(delay + 1.0, lambda: self._deliver(hook_id, body, 0))

    async def _deliver(self, hook_id: int, body: bytes, attempt: int) -> None:
        hook = self._store.rows["webhooks"].get(hook_id)
        if hook is None or hook["status"] != "Active":
            return
        headers = {
            "Content-Type": "application/json",
            "FUB-Signature": signature(body, self._sandbox.config.fub_system_key),
        }
        status = 0
        try:
            answer = await self._sandbox.http.post(hook["url"], content=body, headers=headers, timeout=10)
            status = answer.status_code
        except httpx.HTTPError:
            status = 0
        if 200 <= status < 300:
            self.answered[json.loads(body)["eventId"]] = None
        if status in {406, 410}:
            self._store.rows["webhooks"].pop(hook_id, None)
        elif not 200 <= status < 300 and attempt < len(RETRY_SECONDS):
            pause = RETRY_SECONDS[attempt] * self.retry_scale
            self._sandbox.scheduler.after(pause, lambda: self._deliver(hook_id, body, attempt + 1))
