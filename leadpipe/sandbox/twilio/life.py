"""A message's life after the create: its statuses, the callbacks that tell of them, its price.

What lives here: messaging sheet 1.8 and 2.2. What does not: whether it arrives (``judging``), the post itself
(``posting``).
"""

from __future__ import annotations

import random
from email.utils import format_datetime
from typing import TYPE_CHECKING

from leadpipe.sandbox.twilio.book import Message
from leadpipe.sandbox.twilio.codes import NEVER_LEFT
from leadpipe.sandbox.twilio.posting import post_form
from leadpipe.sandbox.twilio.segments import count_segments

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

_RANK = {
    "scheduled": 0, "accepted": 0, "queued": 1, "sending": 2, "sent": 3, "delivered": 4, "undelivered": 4, "failed": 4,
    "canceled": 4, "read": 5,
}  # fmt: skip


class Life:
    """Plays what happens to messages."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._dice = random.Random(sandbox.config.seed)

    def play_at(self, message: Message, seconds: float) -> None:
        """A scheduled message goes out in ``seconds`` of the calendar, unless it is cancelled before."""

        def due() -> None:
            if message.row["status"] == "scheduled":
                message.row["status"] = "accepted"
                self.play(message, None)

        self._sandbox.scheduler.after_simulated(seconds, due)

    def play(self, message: Message, late_code: int | None) -> None:
        """Schedule the statuses after the first one, which is never posted."""
        if late_code in NEVER_LEFT:
            steps: list[tuple[str, int | None]] = [("failed", late_code)]
        elif late_code is not None:
            steps = [("queued", None), ("sent", None), ("undelivered", late_code)]
        else:
            steps = [("queued", None), ("sent", None), ("delivered", None)]
            if message.row["to"].startswith("whatsapp:"):
                steps.append(("read", None))
        scheduler, faults = self._sandbox.scheduler, self._sandbox.faults
        pace = self._sandbox.config.carrier_pace
        delays = [pace * (0.3 + 0.5 * number + 0.3 * self._dice.random()) for number in range(len(steps))]
        if faults.strikes("twilio_callback_reordered") or self._dice.random() < self._sandbox.config.twilio_disorder:
            delays.reverse()
        elif steps[-1][0] == "read":
            delays[-1] += 2.0 * pace
        last = dict(zip(steps, delays, strict=True))
        for (status, code), delay in last.items():
            if faults.strikes("twilio_callback_lost"):
                scheduler.after(delay, lambda s=status, c=code: self._set(message, s, c))
                continue
            if faults.strikes("twilio_callback_delayed"):
                delay += faults.value("twilio_callback_delayed", 20.0)  # noqa: PLW2901 - later by the fault
            scheduler.after(delay, lambda s=status, c=code: self._report(message, s, c))
            repeats = faults.strikes("twilio_callback_repeated")
            if repeats or self._dice.random() < self._sandbox.config.twilio_disorder:
                scheduler.after(delay + pace, lambda s=status, c=code: self._report(message, s, c))

    def _set(self, message: Message, status: str, code: int | None) -> None:
        """The row goes on; never back, whatever order the callbacks take."""
        row = message.row
        if _RANK[status] < _RANK[row["status"]]:
            return
        now = format_datetime(self._sandbox.now())
        row["status"], row["error_code"], row["date_updated"] = status, code, now
        if code is not None:
            row["error_message"] = None
        if status in {"sent", "delivered", "undelivered", "read"} and row["date_sent"] is None:
            config = self._sandbox.config
            row["date_sent"] = now
            row["from"] = row["from"] or config.sms_number
            segments = max(1, count_segments(row["body"]))
            row["num_segments"], row["price_unit"] = str(segments), "USD"
            row["price"] = f"-{0.0079 * segments:.5f}"

    async def _report(self, message: Message, status: str, code: int | None) -> None:
        self._set(message, status, code)
        if not message.callback:
            return
        row, config = message.row, self._sandbox.config
        is_whatsapp = row["to"].startswith("whatsapp:")
        sender = row["from"] or (config.whatsapp_number if is_whatsapp else config.sms_number)
        fields = {
            "AccountSid": row["account_sid"], "ApiVersion": "2010-04-01", "MessageSid": row["sid"],
            "SmsSid": row["sid"], "MessageStatus": status, "SmsStatus": status, "From": sender, "To": row["to"],
        }  # fmt: skip
        if row["messaging_service_sid"]:
            fields["MessagingServiceSid"] = row["messaging_service_sid"]
        if code:
            fields["ErrorCode"] = str(code)
        if not is_whatsapp and status in {"delivered", "undelivered"}:
            fields["RawDlrDoneDate"] = self._sandbox.now().strftime("%y%m%d%H%M")
        if is_whatsapp:
            fields |= {"ChannelInstallSid": "XE" + "0" * 32, "ChannelPrefix": "whatsapp"}
            if status == "read":
                fields["EventType"] = "READ"
            if code:
                fields["ChannelStatusMessage"] = f"Channel error {code}"
        await post_form(self._sandbox, message.callback, fields)
