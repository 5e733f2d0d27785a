"""``/webhooks`` and ``/webhookEvents`` over HTTP: who subscribes to what.

What lives here: FUB sheet 6.1. What does not: delivering (``notices``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.answers import NOT_FOUND, Call, Listing, Refused, page
from leadpipe.sandbox.fub.fields import BODY_KEYS, EVENTS, REQUIRED, Row

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.notices import Notices
    from leadpipe.sandbox.fub.store import FubStore

PER_EVENT = 2
# The real one takes https alone; on the loopback there is no certificate to show.
_URL = re.compile(r"https://.+|http://(127\.0\.0\.1|localhost)[:/].*")


def answer_hooks(call: Call, store: FubStore) -> tuple[int, Any]:
    """Any request under ``/webhooks``, of the account owner and a registered system."""
    hooks = store.rows["webhooks"]
    if call.method == "POST":
        return 200, _public(_subscribe(call, store))
    if call.record_id is None:
        wanted = {name: call.query[name] for name in ("event", "status") if call.query.get(name)}
        rows = [hook for hook in hooks.newest_first() if all(hook[name] == value for name, value in wanted.items())]
        listing = Listing(
            newest_first=lambda below: (hook for hook in rows if below is None or hook["id"] < below),
            sorted_by=lambda field, falling: iter(sorted(rows, key=lambda h: str(h.get(field)), reverse=falling)),
            id_of=lambda hook: hook["id"],
            count=lambda: len(rows),
        )
        return 200, page("webhooks", listing, call.query, _public, deep_tokens=True)
    hook = hooks.get(call.record_id)
    if hook is None:
        raise Refused(404, NOT_FOUND)
    if call.method == "PUT":
        _check(call.body)
        if call.body.get("status") not in {None, "Active", "Disabled"}:
            raise Refused(400, "Invalid value for 'status' field.")
        store.change("webhooks", hook, call.body)
    if call.method == "DELETE":
        store.remove("webhooks", hook)
        return 200, None
    return 200, _public(hook)


def _subscribe(call: Call, store: FubStore) -> Row:
    _check(call.body)
    missing = [name for name in REQUIRED["webhooks"] if not call.body.get(name)]
    if missing:
        raise Refused(400, f"Missing required field in the request: {missing[0]}.")
    same = [hook for hook in store.rows["webhooks"].newest_first() if hook["event"] == call.body["event"]]
    if len(same) >= PER_EVENT:
        raise Refused(400, f"Only {PER_EVENT} webhooks per event are allowed.")
    return store.add("webhooks", {"status": "Active", "event": call.body["event"], "url": call.body["url"]})


def _check(body: Row) -> None:
    wrong = [key for key in body if key not in BODY_KEYS["webhooks"]]
    if wrong:
        raise Refused(400, f"Invalid fields in the request body: {', '.join(wrong)}.")
    if "event" in body and body["event"] not in EVENTS:
        raise Refused(400, "Invalid value for 'event' field.")
    if "url" in body and not _URL.fullmatch(str(body["url"])):
        raise Refused(400, "Invalid value for 'url' field.")


def _public(hook: Row) -> Row:
    return {name: hook[name] for name in ("id", "status", "event", "url")}


def answer_event(call: Call, notices: Notices) -> tuple[int, Any]:
    """One past notification, by its id with or without dashes."""
    found = notices.sent.get(call.rest.replace("-", "").lower())
    if found is None:
        raise Refused(404, NOT_FOUND)
    return 200, found
