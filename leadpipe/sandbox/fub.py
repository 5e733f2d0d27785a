"""Follow Up Boss over HTTP: authentication, limits, paging and the error bodies of the real one.

What lives here: routes. What does not: the records' rules (``fub_store``). Facts: FUB sheet sections 1-8.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response

from leadpipe.crm.ratelimit import context_of
from leadpipe.sandbox.fub_store import HIDDEN, WRITABLE, FubStore, stamp

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
LIMITS = {"global": 250, "events": 20, "PUT.people": 25, "notes": 10}
NEEDS_SYSTEM = {"webhooks", "webhookEvents"}
DEEP_OFFSET = 2000
KEYS = {"textMessages": "textmessages", "customFields": "customfields"}
SORTS = {"created", "updated", "lastActivity", "name", "price", "id"}
FILTERED = {"textMessages": ("personId", "threadId", "phone", "toNumber", "fromNumber", "id")}
TASK_TYPES = {"Follow Up", "Call", "Text", "Email", "Appointment", "Showing", "Closing", "Open House", "Thank You"}


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request answered with an error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Windows:
    """True sliding windows of ten seconds, one per context."""

    def __init__(self) -> None:
        self.limits = dict(LIMITS)
        self._sent: dict[str, deque[float]] = defaultdict(deque)
        self.count_refused = 0

    def take(self, context: str) -> tuple[bool, dict[str, str]]:
        """Count one request; whether it is within the limit, and the headers of the answer."""
        limit = self.limits.get(context)
        if limit is None:
            return True, {}
        now = time.monotonic()
        sent = self._sent[context]
        while sent and sent[0] <= now - 10:
            sent.popleft()
        is_allowed = len(sent) < limit
        if is_allowed:
            sent.append(now)
        else:
            self.count_refused += 1
        headers = {
            "X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(limit - len(sent)),
            "X-RateLimit-Window": "10", "X-RateLimit-Context": context,
        }  # fmt: skip
        if not is_allowed:
            headers["Retry-After"] = str(max(1, int(sent[0] + 10 - now) + 1))
        return is_allowed, headers


class FubApi:
    """The fake's routes over one store."""

    def __init__(self, sandbox: Sandbox, store: FubStore) -> None:
        self._sandbox = sandbox
        self.store = store
        self.windows = Windows()

    def router(self) -> APIRouter:
        """Everything under ``/fub/v1``."""
        router = APIRouter()
        router.add_api_route("/fub/v1/{path:path}", self.serve, methods=["GET", "POST", "PUT", "DELETE"])
        return router

    async def serve(self, request: Request, path: str) -> Response:
        """Answer one request as the real account would."""
        role = self._role(request)
        if role is None:
            headers = {"WWW-Authenticate": 'Basic realm="Follow Up Boss API"'}
            return _json(401, {"errorMessage": "Invalid API key."}, headers)
        is_allowed, headers = self.windows.take(context_of(request.method, path))
        faults = self._sandbox.faults
        if not is_allowed or faults.strikes("fub_429"):
            headers.setdefault("Retry-After", "1")
            return _json(429, {"errorMessage": "Too many requests."}, headers)
        if request.method == "GET" and faults.strikes("fub_500"):
            return Response(b"<html>Bad gateway</html>", 502, headers, "text/html")
        try:
            answer = await self._route(request, path, role)
        except Refused as refusal:
            return _json(refusal.status, {"errorMessage": str(refusal)}, headers)
        if request.method != "GET" and faults.strikes("fub_lost_answer"):
            await asyncio.sleep(0.05)
            return Response(b"", 504, headers)
        status, body = answer
        return Response(b"" if body is None else orjson.dumps(body), status, headers, "application/json")

    def _role(self, request: Request) -> str | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        try:
            key = base64.b64decode(value).decode().split(":", 1)[0]
        except ValueError:
            return None
        config = self._sandbox.config
        roles = {config.fub_api_key: "owner", config.fub_admin_key: "admin", config.fub_agent_key: "agent"}
        return roles.get(key)

    async def _route(self, request: Request, path: str, role: str) -> tuple[int, Any]:
        collection, _, rest = path.strip("/").partition("/")
        query = dict(request.query_params)
        config = self._sandbox.config
        system = (request.headers.get("X-System"), request.headers.get("X-System-Key"))
        if collection in NEEDS_SYSTEM:
            if system != (config.fub_system, config.fub_system_key):
                raise Refused(400, "Missing required field in the request: system.")
            if role != "owner":
                raise Refused(403, "You do not have access to this endpoint.")
        body: Row = {}
        if request.method in {"POST", "PUT"}:
            try:
                body = json.loads(await request.body() or b"{}")
            except ValueError as error:
                raise Refused(400, "Malformed JSON in the request body.") from error
        record_id = int(rest) if rest.isdigit() else None
        if collection == "identity":
            return 200, self._identity(role)
        if collection == "people":
            return self._people(request.method, record_id, rest, query, body, role)
        if collection == "events" and request.method == "POST":
            person, is_new = self.store.add_event(body)
            return (201 if is_new else 200), self._shown(person, {"fields": ""})
        small = {"users": self.store.users, "stages": self.store.stages, "pipelines": self.store.pipelines,
                 "customFields": self.store.custom_fields}  # fmt: skip
        if collection in small:
            return self._small(collection, small[collection], record_id, query)
        if collection not in self.store.rows:
            raise Refused(404, f"Collection name '{collection}' in the URL is not valid.")
        return self._records(request.method, collection, record_id, query, body)

    def _identity(self, role: str) -> Row:
        owner = self.store.users[1]
        return {
            "account": {"id": 1600000001, "domain": "demorealty", "name": "Demo Realty",
                        "owner": {"name": owner["name"], "email": owner["email"]}},
            "user": {"id": 1, "name": owner["name"], "email": owner["email"], "isOwner": role == "owner",
                     "isAdmin": role in {"owner", "admin"}, "role": "Broker"},
        }  # fmt: skip

    # people

    def _people(
        self, method: str, person_id: int | None, rest: str, query: Row, body: Row, role: str
    ) -> tuple[int, Any]:
        store = self.store
        if method == "POST" and not rest:
            self._check_keys(body)
            contacts = [e["value"] for key in ("emails", "phones") for e in body.get(key, [])]
            known = store.match(contacts) if query.get("deduplicate") == "true" else None
            person = known or store.add_person(body)
            return (200 if known else 201), self._shown(person, {"fields": ""})
        if rest == "checkDuplicate":
            key = "email" if query.get("email") else "phone"
            person = store.match([query.get(key, "")])
            return 200, {"found": True, "matchedBy": key, "assignedTo": person["assignedTo"]} if person else {
                "found": False
            }
        if person_id is None:
            return 200, self._people_page(query, role)
        person = store.people.get(person_id)
        if person is None or not self._visible(person, role):
            raise Refused(404, "Requested resource was not found.")
        if method == "GET":
            return 200, self._shown(person, query)
        if method == "PUT":
            self._check_keys(body)
            if "stage" in body and store.stage_id(body["stage"]) is None:
                raise Refused(400, "Invalid value for 'stage' field.")
            return 200, self._shown(store.update_person(person, body, merge_tags=query.get("mergeTags") == "true"), {})
        store.delete_person(person_id)
        return 200, {}

    def _check_keys(self, body: Row) -> None:
        known = {row["name"] for row in self.store.custom_fields.values()}
        wrong = [key for key in body if key not in WRITABLE and key not in known]
        if wrong:
            raise Refused(400, f"Invalid fields in the request body: {', '.join(wrong)}.")

    @staticmethod
    def _visible(person: Row, role: str) -> bool:
        return role != "agent" or person["assignedUserId"] == 2

    def _people_page(self, query: Row, role: str) -> Row:
        rows = [p for p in self.store.people.values() if self._visible(p, role)]
        if query.get("id"):
            wanted = {int(value) for value in query["id"].split(",") if value.isdigit()}
            rows = [self.store.people[i] for i in wanted if i in self.store.people]
        if query.get("includeTrash") != "true":
            rows = [p for p in rows if p["stage"] != "Trash"]
        if query.get("includeUnclaimed") != "true":
            rows = [p for p in rows if p["claimed"]]
        if query.get("updatedAfter"):
            # The documented filter that some keys find empty (sheet 3.3).
            works = self._sandbox.config.fub_updated_after_works
            rows = [p for p in rows if p["updated"] > query["updatedAfter"]] if works else []
        for name in ("stage", "source", "assignedTo", "assignedUserId"):
            if query.get(name):
                rows = [p for p in rows if str(p[name]) == query[name]]
        for name in ("email", "phone"):
            if query.get(name):
                person = self.store.match([query[name]])
                rows = [person] if person in rows and person else []
        page = self._page("people", rows, query)
        page["people"] = [self._shown(p, query) for p in page["people"]]
        return page

    def _shown(self, person: Row, query: Row) -> Row:
        fields = query.get("fields")
        if fields == "allFields":
            return person
        if fields:
            names = {"id", *fields.split(",")}
            return {key: value for key, value in person.items() if key in names}
        custom = {key for key in person if key.startswith("custom")}
        return {key: value for key, value in person.items() if key not in HIDDEN and key not in custom}

    # everything else

    def _small(self, collection: str, rows: dict[int, Row], record_id: int | None, query: Row) -> tuple[int, Any]:
        if record_id is not None:
            if record_id not in rows:
                raise Refused(404, "Requested resource was not found.")
            return 200, rows[record_id]
        return 200, self._page(collection, list(rows.values()), {**query, "sort": query.get("sort", "id")})

    def _records(self, method: str, collection: str, record_id: int | None, query: Row, body: Row) -> tuple[int, Any]:
        rows = self.store.rows[collection]
        if method == "POST":
            return self._create(collection, body)
        if record_id is not None:
            if record_id not in rows:
                raise Refused(404, "Requested resource was not found.")
            if method == "GET":
                return 200, rows[record_id]
            if method == "DELETE":
                del rows[record_id]
                return 200, None if collection == "webhooks" else {}
            rows[record_id] |= body | {"updated": stamp(self.store.now())}
            return 200, rows[record_id]
        needed = FILTERED.get(collection)
        if needed and not any(query.get(name) for name in needed):
            raise Refused(400, f"One of these parameters is required: {', '.join(needed)}.")
        found = list(rows.values())
        for name in ("personId", "event", "status", "type"):
            if query.get(name):
                found = [row for row in found if str(row.get(name)) == query[name]]
        return 200, self._page(collection, found, query)

    def _create(self, collection: str, body: Row) -> tuple[int, Any]:
        store = self.store
        if collection == "webhooks":
            same = [hook for hook in store.rows["webhooks"].values() if hook["event"] == body.get("event")]
            if len(same) >= 2:
                raise Refused(400, "Only 2 webhooks per event are allowed.")
            return 201, store.add(
                "webhooks", {"status": "Active", "event": body["event"], "url": body["url"]}, quiet=True
            )
        if collection in {"notes", "calls", "textMessages", "tasks"} and body.get("personId") not in store.people:
            raise Refused(404, "Requested resource was not found.")
        by_us: Row = {"createdById": 1, "updatedById": 1, "createdBy": "leadpipe", "systemName": "leadpipe"}
        if collection == "tasks":
            if body.get("type", "Follow Up") not in TASK_TYPES:
                raise Refused(400, "Invalid value for 'type' field.")
            row = {"type": "Follow Up", **body, "isCompleted": int(bool(body.get("isCompleted"))), "AssignedTo": None}
        elif collection == "textMessages":
            row = {**body, "status": "Sent", "isExternal": True, "isIncoming": bool(body.get("isIncoming"))}
        else:
            row = {"subject": "", "type": "", "isHtml": False, "isExternal": True, **body}
        return 201, store.add(collection, {**by_us, **row})

    def _page(self, collection: str, rows: list[Row], query: Row) -> Row:
        limit = min(100, max(1, int(query.get("limit", 10))))
        token = _token(query.get("next"))
        sort = str(query.get("sort", ""))
        field = sort.lstrip("-")
        offset = int(token.get("offset", query.get("offset", 0)))
        is_keyset = field not in SORTS or field == "id" and sort.startswith("-")
        if is_keyset:
            rows = sorted(rows, key=lambda row: row["id"], reverse=True)
            rows = [row for row in rows if row["id"] < token["sinceId"]] if "sinceId" in token else rows[offset:]
        else:
            if offset >= DEEP_OFFSET:
                raise Refused(400, "Deep pagination disabled, use 'nextLink' url")
            rows = sorted(
                rows, key=lambda row: (row.get(field) is not None, row.get(field)), reverse=sort.startswith("-")
            )
            rows = rows[offset:]
        shown = rows[:limit]
        following = None
        if len(rows) > limit:
            mark = {"sinceId": shown[-1]["id"]} if is_keyset else {"offset": offset + limit}
            following = base64.urlsafe_b64encode(json.dumps(mark).encode()).decode().rstrip("=")
        key = KEYS.get(collection, collection)
        base = f"https://api.followupboss.com/v1/{collection}?limit={limit}&next="
        return {
            "_metadata": {"collection": key, "offset": offset, "limit": limit, "total": str(len(rows)),
                          "next": following, "nextLink": base + following if following else None},
            key: shown,
        }  # fmt: skip


def _token(value: str | None) -> Row:
    if not value:
        return {}
    try:
        return json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except ValueError as error:
        raise Refused(400, "Invalid value for 'next' parameter.") from error


def _json(status: int, body: Row, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")
