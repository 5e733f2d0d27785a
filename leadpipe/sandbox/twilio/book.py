"""Every message of the account, found by id, by receiver, newest first.

What lives here: rows and the pages of their list. What does not: judging or sending (``messages``).
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

Row = dict[str, Any]
DEFAULT_SIZE, MAX_SIZE = 50, 1_000


@dataclass(kw_only=True, slots=True)
class Message:
    """One message: what the API shows, and what only the fake knows.

    Attributes:
        on_listed: called once when leadpipe first sees an inbound message in the list that no webhook brought.
    """

    row: Row
    at: datetime
    callback: str = ""
    on_listed: Any = None


def new_sid(prefix: str) -> str:
    """34 characters; random, since ids must not repeat when a sandbox starts anew under an old ledger."""
    return prefix + secrets.token_hex(16)


@dataclass(kw_only=True)
class Book:
    """The account's messages."""

    account_sid: str
    by_sid: dict[str, Message] = field(default_factory=dict[str, Message])
    _by_to: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    _all: list[Message] = field(default_factory=list[Message])

    def add(self, message: Message) -> None:
        """Enter a message."""
        self.by_sid[message.row["sid"]] = message
        self._by_to[message.row["to"]].append(message)
        self._all.append(message)

    def remove(self, sid: str) -> None:
        """Delete a message."""
        message = self.by_sid.pop(sid)
        self._by_to[message.row["to"]].remove(message)
        self._all.remove(message)

    def row(self, *, at: datetime, **fields: Any) -> Row:
        """A row with every key that the API always shows."""
        sid = new_sid("MM" if fields.get("num_media", "0") != "0" else "SM")
        base = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}"
        moment = format_datetime(at)
        return {
            "account_sid": self.account_sid, "api_version": "2010-04-01", "body": "", "date_created": moment,
            "date_sent": None, "date_updated": moment, "direction": "outbound-api", "error_code": None,
            "error_message": None, "from": None, "messaging_service_sid": None, "num_media": "0",
            "num_segments": "0", "price": None, "price_unit": None, "sid": sid, "status": "queued",
            "subresource_uris": {"media": f"{base}/Media.json"}, "to": "", "uri": f"{base}.json", **fields,
        }  # fmt: skip

    def page(self, query: Mapping[str, str], *, now: datetime, lag: timedelta) -> Row:
        """One page of the list, newest first, filtered by To, From and the day it was sent."""
        size_text, page_text = query.get("PageSize", ""), query.get("Page", "")
        size = min(MAX_SIZE, max(1, int(size_text))) if size_text.isdigit() else DEFAULT_SIZE
        number = int(page_text) if page_text.isdigit() else 0
        start = number * size
        found: list[Message] = []
        for position, message in enumerate(self._matching(query, now - lag)):
            if position >= start + size + 1:
                break
            if position >= start:
                found.append(message)
        shown, has_more = found[:size], len(found) > size
        for message in shown:
            if message.on_listed is not None:
                message.on_listed()
                message.on_listed = None
        base = f"/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        kept = {name: value for name, value in query.items() if name not in {"Page", "PageToken", "PageSize"}}

        def uri(page: int) -> str:
            mark = {"PageToken": f"PASM{shown[-1].row['sid'][2:]}"} if page and shown else {}
            return f"{base}?{urlencode({**kept, 'PageSize': size, 'Page': page, **mark})}"

        return {
            "messages": [message.row for message in shown], "end": start + len(shown) - 1 if shown else start,
            "first_page_uri": uri(0), "next_page_uri": uri(number + 1) if has_more else None, "page": number,
            "page_size": size, "previous_page_uri": uri(number - 1) if number else None, "start": start,
            "uri": uri(number),
        }  # fmt: skip

    def _matching(self, query: Mapping[str, str], until: datetime) -> Iterator[Message]:
        rows = self._by_to.get(query["To"], []) if query.get("To") else self._all
        for message in reversed(rows):
            if message.at > until or (query.get("From") and message.row["from"] != query["From"]):
                continue
            if _is_in_days(message.row["date_sent"], query):
                yield message


def _is_in_days(sent: str | None, query: Mapping[str, str]) -> bool:
    """``DateSent`` equal, ``DateSent<`` up to, ``DateSent>`` from; unsent rows pass no such filter."""
    given = [
        (sign, query[name])
        for sign, name in (("=", "DateSent"), ("<", "DateSent<"), (">", "DateSent>"))
        if query.get(name)
    ]
    if not given:
        return True
    if sent is None:
        return False
    from email.utils import parsedate_to_datetime

    day = parsedate_to_datetime(sent).date().isoformat()
    tests = {"=": lambda bound: day == bound, "<": lambda bound: day <= bound, ">": lambda bound: day >= bound}
    return all(tests[sign](text[:10]) for sign, text in given)
