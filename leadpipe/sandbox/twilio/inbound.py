"""Messages that people send to us: the provider's own opt-out keywords, the webhook, the list.

What lives here: messaging sheet 2.1 and 2.5. What does not: who writes what (``population``).
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import format_datetime
from typing import TYPE_CHECKING

from leadpipe.sandbox.twilio import codes
from leadpipe.sandbox.twilio.book import Book, Message
from leadpipe.sandbox.twilio.posting import post_form
from leadpipe.sandbox.twilio.segments import count_segments

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox
    from leadpipe.sandbox.twilio.judging import Judge


class Inbound:
    """The account's receiving side."""

    def __init__(self, sandbox: Sandbox, book: Book, judge: Judge) -> None:
        self._sandbox = sandbox
        self._book = book
        self._judge = judge

    async def receive(
        self, sender: str, body: str, *, channel: str, name: str = "", on_taken: Callable[[], None] | None = None
    ) -> bool:
        """Somebody writes to us; whether our webhook took it.

        ``on_taken`` is called once, when leadpipe has it: by the webhook, or later by the list.
        """
        faults = self._sandbox.faults
        keyword = self._keyword(sender, body, channel)
        message, fields = self._enter(sender, body, channel, name, keyword)
        message.on_listed = on_taken
        if keyword in _ANSWERS and channel == "sms":
            self._answer(sender, _ANSWERS[keyword])
        if faults.strikes("twilio_inbound_lost", sender):
            return False
        if faults.strikes("twilio_inbound_delayed", sender):
            seconds = faults.value("twilio_inbound_delayed", 20.0)
            self._sandbox.scheduler.after(seconds, lambda: self._post(message, fields))
            return False
        is_taken = await self._post(message, fields)
        if faults.strikes("twilio_inbound_repeated", sender):
            await self._post(message, fields)
        return is_taken

    async def _post(self, message: Message, fields: dict[str, str]) -> bool:
        """The webhook. One more try when no connection was made; after that only the list has it (11200)."""
        is_taken = await post_form(self._sandbox, f"{self._sandbox.config.gateway_url}/twilio/inbound", fields)
        if is_taken and message.on_listed is not None:
            message.on_listed()
            message.on_listed = None
        return is_taken

    def _keyword(self, sender: str, body: str, channel: str) -> str:
        """What Twilio itself does about the words; on WhatsApp only with Advanced Opt-Out (3)."""
        word = body.strip().lower()
        if channel == "whatsapp" and not self._sandbox.config.twilio_advanced_opt_out:
            return ""
        if word in codes.STOP_WORDS:
            self._judge.blocked.add(sender)
            return "STOP"
        if word in codes.START_WORDS:
            was_blocked = sender in self._judge.blocked
            self._judge.blocked.discard(sender)
            return "START" if was_blocked or word != "yes" else ""
        return "HELP" if word in codes.HELP_WORDS else ""

    def _enter(
        self, sender: str, body: str, channel: str, name: str, keyword: str
    ) -> tuple[Message, dict[str, str]]:  # fmt: skip
        config, now = self._sandbox.config, self._sandbox.now()
        is_whatsapp = channel == "whatsapp"
        if is_whatsapp:
            self._judge.last_inbound_at[sender] = now
        address = f"whatsapp:{sender}" if is_whatsapp else sender
        to = config.whatsapp_number if is_whatsapp else config.sms_number
        segments = str(count_segments(body))
        row = self._book.row(
            at=now, direction="inbound", body=body, to=to, status="received", num_segments=segments,
            date_sent=format_datetime(now), messaging_service_sid=config.twilio_messaging_service_sid,
            **{"from": address},
        )  # fmt: skip
        message = Message(row=row, at=now)
        self._book.add(message)
        sid = row["sid"]
        fields = {
            "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "AccountSid": config.twilio_account_sid,
            "MessagingServiceSid": config.twilio_messaging_service_sid, "From": address, "To": to, "Body": body,
            "NumMedia": "0", "NumSegments": segments, "SmsStatus": "received", "ApiVersion": "2010-04-01",
            "ReferralNumMedia": "0",
        }  # fmt: skip
        if is_whatsapp:
            fields |= {"WaId": sender.lstrip("+"), "ProfileName": name or "Lead", "MessageType": "text",
                       "ChannelMetadata": '{"type":"whatsapp","data":{"context":{}}}'}  # fmt: skip
        else:
            country = "US" if sender.startswith("+1") else ""
            fields |= {"FromCity": "", "FromState": "", "FromZip": "", "FromCountry": country, "ToCity": "",
                       "ToState": "", "ToZip": "", "ToCountry": "US"}  # fmt: skip
        if keyword and config.twilio_advanced_opt_out:
            fields["OptOutType"] = keyword
        return message, fields

    def _answer(self, to: str, words: str) -> None:
        """Twilio's own confirmation: its message, not ours, so the truth does not count it."""
        config, now = self._sandbox.config, self._sandbox.now()
        row = self._book.row(
            at=now, direction="outbound-reply", body=words, to=to, status="delivered", date_sent=format_datetime(now),
            num_segments=str(count_segments(words)), messaging_service_sid=config.twilio_messaging_service_sid,
            **{"from": config.sms_number},
        )  # fmt: skip
        self._book.add(Message(row=row, at=now))


_ANSWERS = {"STOP": codes.STOP_ANSWER, "START": codes.START_ANSWER, "HELP": codes.HELP_ANSWER}
