"""What becomes of a message before it is sent: refused at once, or accepted and refused later.

What lives here: the rules behind Twilio's codes (messaging sheet 1.7, 2.5, 3). What does not: rows and callbacks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from leadpipe.sandbox.twilio.codes import CANADA, MAGIC_FROM, MAGIC_TO

if TYPE_CHECKING:
    from leadpipe.sandbox.outcomes import Outcomes
    from leadpipe.sandbox.state import Sandbox
    from leadpipe.sandbox.twilio.content import Templates

E164 = re.compile(r"\+[1-9]\d{7,14}")
MAX_BODY = 1_600
SESSION = timedelta(hours=24)


class Judge:
    """Knows who may be reached.

    Attributes:
        blocked: numbers that sent STOP; Twilio tells nobody which.
        last_inbound_at: when somebody last wrote by WhatsApp; it opens 24 hours of free text.
        dead_numbers: numbers no carrier knows.
    """

    def __init__(self, sandbox: Sandbox, templates: Templates, outcomes: Outcomes) -> None:
        self._sandbox = sandbox
        self._templates = templates
        self._outcomes = outcomes
        self.blocked: set[str] = set()
        self.last_inbound_at: dict[str, datetime] = {}
        self.dead_numbers: set[str] = set()

    def refusal(self, form: dict[str, str]) -> int | None:
        """The code a create is refused with, None when it is accepted."""
        config = self._sandbox.config
        to, sender, service = form.get("To", ""), form.get("From", ""), form.get("MessagingServiceSid", "")
        number = to.removeprefix("whatsapp:")
        if not to:
            return 21604
        if number in MAGIC_TO:
            return MAGIC_TO[number]
        if not E164.fullmatch(number):
            return 21211
        if sender in MAGIC_FROM:
            return MAGIC_FROM[sender]
        if not sender and not service:
            return 21603
        if sender and sender not in {config.sms_number, config.whatsapp_number}:
            return 21606
        if sender and sender.startswith("whatsapp:") != to.startswith("whatsapp:"):
            return 21612
        if service and service != config.twilio_messaging_service_sid:
            return 21703
        return self._refused_content(form) or self._refused_number(to, number)

    def _refused_content(self, form: dict[str, str]) -> int | None:
        body = form.get("Body", "")
        if not body and not form.get("ContentSid") and not form.get("MediaUrl"):
            return 21602
        if len(body) > MAX_BODY:
            return 21617
        if unfit := self._templates.refusal(form):
            return unfit
        if "_" in (urlsplit(form.get("StatusCallback", "")).hostname or ""):
            return 21609
        validity = form.get("ValidityPeriod", "")
        if validity and not (validity.isdigit() and 1 <= int(validity) <= 36_000):
            return 90007
        return self._refused_schedule(form) if form.get("SendAt") else None

    def _refused_schedule(self, form: dict[str, str]) -> int | None:
        if not form.get("MessagingServiceSid") or form.get("ScheduleType") != "fixed":
            return 35117
        ahead = read_time(form["SendAt"]) - self._sandbox.now()
        return None if timedelta(seconds=300) < ahead <= timedelta(days=35) else 35114

    def _refused_number(self, to: str, number: str) -> int | None:
        scripted = self._outcomes.at_create(number)
        if scripted is not None:
            return scripted
        is_blocked = number in self.blocked and not to.startswith("whatsapp:")
        return 21610 if is_blocked and not self._sandbox.faults.is_set("twilio_21610_late") else None

    def late_code(self, form: dict[str, str], channel: str, number: str, now: datetime) -> int | None:
        """The code that a callback will bring, None for a message that arrives."""
        scripted = self._outcomes.later(number)
        if scripted is not None:
            return scripted
        if channel == "sms":
            if number in self.blocked:
                return 21610
            return 30005 if number in self.dead_numbers else None
        if number in self.dead_numbers:
            return 63003
        opened_at = self.last_inbound_at.get(number)
        if opened_at is not None and now - opened_at < SESSION:
            return None
        if not form.get("ContentSid"):
            return 63016
        template = self._templates.approved(form["ContentSid"])
        if template is None:
            return 63016
        is_us = number.startswith("+1") and number[2:5] not in CANADA
        return 63049 if is_us and template["category"] == "MARKETING" else None


def read_time(text: str) -> datetime:
    """A time of a form; without a zone it is UTC (sheet 1.1)."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
