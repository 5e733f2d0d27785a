"""Twilio's posts to us: signed forms, retried as the URL's fragment asks.

What lives here: the signature and the connection overrides of messaging sheet 2.3 and 2.4. What does not: the fields.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from leadpipe.sandbox.delivery import Answer
    from leadpipe.sandbox.state import Sandbox


def signature(url: str, fields: dict[str, str], token: str) -> str:
    """``X-Twilio-Signature`` of a form POST: the URL with its query, then every field in byte order."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """``#rc=3&rp=all``: retries, and after which failures."""

    retries: int = 1
    after: frozenset[str] = frozenset({"ct"})
    seconds: float = 15.0

    @staticmethod
    def read(fragment: str) -> Overrides:
        """The overrides in a URL's fragment, within Twilio's bounds."""
        given = dict(parse_qsl(fragment))
        after = frozenset(given.get("rp", "ct").split(","))
        return Overrides(
            retries=min(5, max(0, int(given.get("rc", "1")))),
            after=frozenset({"4xx", "5xx", "ct", "rt"}) if "all" in after else after,
            seconds=min(15_000, max(100, int(given.get("rt", "15000")))) / 1000,
        )

    def ask_again(self, answer: Answer) -> bool:
        """Whether this failure is one to retry."""
        if answer.status == 0:
            return ("rt" if answer.is_connected else "ct") in self.after
        return f"{answer.status // 100}xx" in self.after


async def post_form(sandbox: Sandbox, url: str, fields: dict[str, str]) -> bool:
    """Post one signed form; whether it was taken. The fragment is neither sent nor signed."""
    address, _, fragment = url.partition("#")
    overrides = Overrides.read(fragment)
    headers = {
        "X-Twilio-Signature": signature(address, fields, sandbox.config.twilio_auth_token),
        "Content-Type": "application/x-www-form-urlencoded", "User-Agent": "TwilioProxy/1.1",
        "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
    }  # fmt: skip
    body = urlencode(fields)
    for _ in range(overrides.retries + 1):
        answer = await sandbox.delivery.post(address, body, headers, timeout=overrides.seconds)
        if answer.is_success:
            return True
        if not overrides.ask_again(answer):
            return False
    return False
