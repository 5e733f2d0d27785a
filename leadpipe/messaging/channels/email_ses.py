"""Email by Amazon SES v2: one SendEmail call for one recipient.

What lives here: the request's shape, the one-click headers and the reading of SES's answers. What does not: the words
(``outreach.templates``), unsubscribe tokens (``messaging.links``), retries (``drain``).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from leadpipe.messaging.channels.aws import call_outcome
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.links import one_click_url
from leadpipe.outreach.templates import finished_text

if TYPE_CHECKING:
    from leadpipe.settings import Settings

# Makes the HTML part from the request and its own unsubscribe link.
RenderHtml = Callable[[SendRequest, str], str]
_TAG_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


class SesEmail:
    """Email through SES. ``client`` is a boto3 ``sesv2`` client with one attempt."""

    provider = "ses"

    def __init__(self, client: Any, settings: Settings, *, render_html: RenderHtml | None = None) -> None:
        self._client = client
        self._settings = settings
        self._render_html = render_html or template_html

    def send(self, request: SendRequest) -> SendResult:
        """Send one email; a 200 without a MessageId is unknown, not accepted (sheet 4.2)."""
        arguments = self._arguments(request)
        return call_outcome(lambda: self._client.send_email(**arguments))

    def _arguments(self, request: SendRequest) -> dict[str, Any]:
        settings = self._settings
        unsubscribe = one_click_url(settings, request.contact_point_id, request.message_id)
        words = finished_text(request.body, unsubscribe_url=unsubscribe)
        reply_to = reply_address(settings, request.message_id)
        headers = {
            "List-Unsubscribe": f"<{unsubscribe}>, <mailto:{reply_to}?subject=unsubscribe>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        if request.in_reply_to:
            headers |= {"In-Reply-To": request.in_reply_to, "References": request.in_reply_to}
        tags = {
            "leadpipe_mid": request.message_id,
            "leadpipe_plan": request.plan,
            "leadpipe_step": request.step,
            "leadpipe_occ": str(request.occurrence),
        }
        return {
            "FromEmailAddress": settings.email_from,
            "Destination": {"ToAddresses": [request.to]},
            "ReplyToAddresses": [reply_to],
            "Content": {
                "Simple": {
                    "Subject": {"Data": request.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": words, "Charset": "UTF-8"},
                        "Html": {"Data": self._render_html(request, unsubscribe), "Charset": "UTF-8"},
                    },
                    "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
                }
            },
            "EmailTags": [{"Name": name, "Value": _TAG_UNFIT.sub("_", value)} for name, value in tags.items()],
            "ConfigurationSetName": settings.ses_configuration_set,
        }


def reply_address(settings: Settings, message_id: str) -> str:
    """Where an answer to this message comes in: plus-addressed, so that it names the message."""
    return f"reply+{message_id}@{settings.reply_domain}"


_URL = re.compile(r"https?://[^\s<>\"]+")


def template_html(request: SendRequest, unsubscribe_url: str) -> str:
    """The HTML part of the message's template; an email without one (a conversation's answer) gets modest HTML."""
    from leadpipe.outreach.templates import render_html

    if not request.template:
        return plain_html(finished_text(request.body, unsubscribe_url=unsubscribe_url))
    return render_html(request.template, request.variables, unsubscribe_url=unsubscribe_url)


def plain_html(words: str) -> str:
    """Text as modest HTML: paragraphs, line breaks and links."""
    paragraphs = (html.escape(part.strip()) for part in re.split(r"\n\s*\n", words) if part.strip())
    linked = (_URL.sub(lambda found: f'<a href="{found[0]}">{found[0]}</a>', part) for part in paragraphs)
    inner = "".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in linked)
    return f'<!doctype html><html><body style="font-family:sans-serif">{inner}</body></html>'
