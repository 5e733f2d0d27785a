"""Follow Up Boss over HTTP: who asks, whether there is room, which part answers.

What lives here: keys, systems, limits, faults and the way to the right room. What does not: any record's rules. Facts:
FUB sheet sections 1, 2 and 8.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.cut import CutConnection
from leadpipe.sandbox.fub.answers import NOT_FOUND, Call, Caller, Refused, error_answer, json_answer
from leadpipe.sandbox.fub.fields import OWNER_ID, Row
from leadpipe.sandbox.fub.hooks_api import answer_event, answer_hooks
from leadpipe.sandbox.fub.limits import Windows, context_of
from leadpipe.sandbox.fub.people_api import PeopleApi
from leadpipe.sandbox.fub.records_api import RecordsApi

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.notices import Notices
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.state import Sandbox

PREFIX = "/fub/v1"
AGENT_ID = 2
# Only for registered systems (section 1).
NEEDS_SYSTEM = frozenset(
    {"webhooks", "webhookEvents", "personAttachments", "dealAttachments", "inboxApps", "rateLimit"}
)
NO_ACCESS = "You do not have access to this endpoint."
NO_SYSTEM = "Missing required field in the request: system."


class FubApi:
    """The fake's routes over one store."""

    def __init__(self, sandbox: Sandbox, store: FubStore, notices: Notices) -> None:
        self._sandbox = sandbox
        self._store = store
        self._notices = notices
        self.windows = Windows(lambda: sandbox.config.fub_window_seconds)
        self.people = PeopleApi(sandbox, store)
        self.records = RecordsApi(sandbox, store, self.people)

    def routes(self) -> list[Route]:
        """Everything under ``/fub/v1``."""
        return [Route(PREFIX + "/{path:path}", self.serve, methods=["GET", "POST", "PUT", "DELETE"])]

    async def serve(self, request: Request) -> Response:
        """Answer one request as the real account would."""
        collection, _, rest = request.path_params["path"].strip("/").partition("/")
        caller = self._caller(request)
        if caller is None:
            headers = {"WWW-Authenticate": 'Basic realm="Follow Up Boss API"'}
            return error_answer(401, "Invalid API key.", headers)
        faults, path = self._sandbox.faults, request.path_params["path"]
        context = context_of(request.method, collection)
        has_room, headers = self.windows.take(context, has_system=caller.has_system)
        headers |= {"FUB-Account-ID": "1600000001", "FUB-User-ID": str(caller.user_id)}
        if not has_room or faults.strikes("fub_429", path):
            headers.setdefault("Retry-After", str(int(faults.value("fub_429", 1))))
            self.windows.told_to_wait(float(headers["Retry-After"]))
            return Response(b"<html>429 Too Many Requests</html>", 429, headers, "text/html")
        if request.method == "GET" and faults.strikes("fub_html", path):
            return Response(b"<html>502 Bad Gateway</html>", 502, headers, "text/html")
        if faults.strikes("fub_500", path):
            return error_answer(500, "Internal server error.", headers)
        try:
            status, body = self._route(await _read(request, collection, rest, caller))
        except Refused as refusal:
            return error_answer(refusal.status, str(refusal), headers)
        if faults.strikes("fub_hang", path):
            await asyncio.sleep(faults.value("fub_hang", 60.0))
        if request.method != "GET":
            if faults.strikes("fub_drop_after", path):
                raise CutConnection
            if faults.strikes("fub_500_after", path):
                return error_answer(500, "Internal server error.", headers)
        return json_answer(status, body, headers)

    def _caller(self, request: Request) -> Caller | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            key = base64.b64decode(value, validate=True).decode().split(":", 1)[0]
        except ValueError:
            return None
        config = self._sandbox.config
        keys = {
            config.fub_api_key: (OWNER_ID, "owner"),
            config.fub_admin_key: (OWNER_ID, "admin"),
            config.fub_agent_key: (AGENT_ID, "agent"),
        }
        if key not in keys:
            return None
        system = (request.headers.get("X-System"), request.headers.get("X-System-Key"))
        named = request.query_params.get("system")
        has_system = system == (config.fub_system, config.fub_system_key) or (
            named == config.fub_system and system[1] == config.fub_system_key
        )
        user_id, role = keys[key]
        return Caller(user_id=user_id, role=role, has_system=has_system)

    def _route(self, call: Call) -> tuple[int, Any]:
        collection, method = call.collection, call.method
        if self._sandbox.config.fub_is_expired and (method, collection) != ("POST", "events"):
            raise Refused(403, "This account has expired.")
        if collection == "rateLimit":
            return self._rate_limit(call)
        needs_system = collection in NEEDS_SYSTEM or collection.startswith("automations")
        if needs_system and not call.caller.has_system:
            raise Refused(400, NO_SYSTEM)
        if collection == "textMessages" and method == "POST" and not call.caller.has_system:
            raise Refused(403, NO_ACCESS)
        if collection in {"webhooks", "webhookEvents"}:
            if call.caller.role != "owner":
                raise Refused(403, NO_ACCESS)
            if collection == "webhooks":
                return answer_hooks(call, self._store)
            return answer_event(call, self._notices)
        if collection in {"identity", "me"} and method == "GET":
            return 200, self._identity(call)
        if collection == "people":
            return self.people.answer(call)
        if collection in {"threads", "conversations", "inboxApps"} or needs_system:
            raise Refused(403, NO_ACCESS)
        if collection in self._store.rows or collection in self._store.small:
            return self.records.answer(call)
        raise Refused(
            404,
            f"Collection name '{collection}' in the URL is not valid. "
            "Please use a correct collection name, for example 'people'.",
        )

    def _identity(self, call: Call) -> Row:
        owner, user = self._store.users[OWNER_ID], self._store.users[call.caller.user_id]
        role = call.caller.role
        account = {"id": 1600000001, "domain": "demorealty", "name": "Demo Realty",
                   "owner": {"name": owner["name"], "email": owner["email"]}}  # fmt: skip
        shown = {"id": user["id"], "name": user["name"], "email": user["email"], "fuid": user["fuid"],
                 "role": user["role"], "isOwner": role == "owner", "isAdmin": role in {"owner", "admin"},
                 "isLender": False}  # fmt: skip
        if call.collection == "me":
            config = self._sandbox.config
            keys = {"owner": config.fub_api_key, "admin": config.fub_admin_key, "agent": config.fub_agent_key}
            # The real one echoes the key too: a reason not to call it.
            return shown | {"account": account["id"], "apiKey": keys[role]}
        return {"account": account, "user": shown}

    def _rate_limit(self, call: Call) -> tuple[int, Any]:
        if not call.caller.has_system:
            return 403, {"error": "Only registered systems can use this endpoint."}
        system = self._sandbox.config.fub_system
        if call.rest == "limits":
            return 200, {"system": system, "current_limits": {"per_account": dict(self.windows.limits)}}
        if call.rest == "usage":
            refused, total = self.windows.count_refused, self.windows.count_all
            return 200, {"system": system, "period": "last_24h", "total_requests": total,
                         "rate_limited_requests": refused,
                         "rate_limit_percentage": round(100 * refused / max(1, total), 2),
                         "peak_hour": None}  # fmt: skip
        raise Refused(404, NOT_FOUND)


async def _read(request: Request, collection: str, rest: str, caller: Caller) -> Call:
    body: Any = {}
    if request.method in {"POST", "PUT"}:
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError as error:
            raise Refused(400, "Malformed JSON in the request body.") from error
        if not isinstance(body, dict):
            raise Refused(400, "Malformed JSON in the request body.")
    return Call(
        method=request.method, collection=collection, rest=rest, query=dict(request.query_params), body=body,
        caller=caller,
    )  # fmt: skip
