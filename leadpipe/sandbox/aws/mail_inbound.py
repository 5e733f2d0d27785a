"""Mail that people write to us: SES receipt with the content inline, told through SNS.

What lives here: messaging sheet 4.7. What does not: who writes what (``population``).
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.state import AcceptedMessage, iso

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.topics import Topics
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]


class MailInbound:
    """Receives mail for our reply domain."""

    def __init__(self, sandbox: Sandbox, topics: Topics) -> None:
        self._sandbox = sandbox
        self._topics = topics

    async def receive(
        self,
        sender: str,
        body: str,
        *,
        to: str,
        answers: AcceptedMessage | None,
        name: str = "",
        subject: str = "Question",
        is_automatic: bool = False,
        on_taken: Callable[[], None] | None = None,
    ) -> bool:
        """Somebody answers, or writes on their own; whether our webhook took it at once.

        ``on_taken`` is called once, when it is taken: at once, or at one of SNS's later tries.
        """
        mail = self._written(sender, body, to=to, answers=answers, name=name, subject=subject)
        if is_automatic:
            mail["Auto-Submitted"] = "auto-replied"
        notice = self._notice(sender, to, mail)
        faults = self._sandbox.faults
        if faults.strikes("ses_inbound_lost", sender):
            return False
        if faults.strikes("ses_inbound_delayed", sender):
            seconds = faults.value("ses_inbound_delayed", 20.0)
            self._sandbox.scheduler.after(seconds, lambda: self._tell(notice, on_taken))
            return False
        is_taken = await self._tell(notice, on_taken)
        if faults.strikes("ses_inbound_repeated", sender):
            await self._topics.publish(notice, carries="inbound")
        return is_taken

    async def _tell(self, notice: Row, on_taken: Callable[[], None] | None) -> bool:
        return await self._topics.publish(notice, carries="inbound", on_taken=on_taken)

    def _written(
        self, sender: str, body: str, *, to: str, answers: AcceptedMessage | None, name: str, subject: str
    ) -> EmailMessage:  # fmt: skip
        mail = EmailMessage()
        mail["From"] = f"{name} <{sender}>" if name else sender
        mail["To"] = to
        mail["Date"] = self._sandbox.now()
        mail["Message-ID"] = f"<{uuid.uuid4()}@mail.example.net>"
        text = body
        if answers is not None:
            ours = f"<{answers.provider_id}@email.amazonses.com>"
            mail["Subject"] = f"Re: {answers.subject}"
            mail["In-Reply-To"], mail["References"] = ours, ours
            quoted = "\n".join(f"> {line}" for line in answers.body.splitlines())
            written = answers.accepted_at.strftime("%a, %b %d, %Y at %I:%M %p")
            text = f"{body}\n\nOn {written} {answers.from_} wrote:\n\n{quoted}\n"
        else:
            mail["Subject"] = subject
        mail.set_content(text)
        return mail

    def _notice(self, sender: str, to: str, mail: EmailMessage) -> Row:
        now, verdict = iso(self._sandbox.now()), {"status": "PASS"}
        common = {
            "returnPath": sender, "from": [str(mail["From"])], "date": str(mail["Date"]), "to": [to],
            "messageId": str(mail["Message-ID"]), "subject": str(mail["Subject"]),
        }  # fmt: skip
        return {
            "notificationType": "Received",
            "mail": {"timestamp": now, "source": sender, "messageId": secrets.token_hex(20), "destination": [to],
                     "headersTruncated": False, "headers": [{"name": k, "value": str(v)} for k, v in mail.items()],
                     "commonHeaders": common},
            "receipt": {"timestamp": now, "processingTimeMillis": 400, "recipients": [to], "spamVerdict": verdict,
                        "virusVerdict": verdict, "spfVerdict": verdict, "dkimVerdict": verdict,
                        "dmarcVerdict": verdict, "action": {"type": "SNS", "topicArn": self._topics.arn,
                                                            "encoding": "BASE64"}},
            "content": base64.b64encode(bytes(mail)).decode(),
        }  # fmt: skip
