"""Content templates and their approval for WhatsApp.

What lives here: the Content API (messaging sheet 3). What does not: sending one (``messages``).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from leadpipe.sandbox.state import iso
from leadpipe.sandbox.twilio.book import new_sid
from leadpipe.sandbox.twilio.codes import error

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
_NAME = re.compile(r"[a-z0-9_]+")
BUILT_IN = "Hi {{1}}, this is the {{2}} for {{3}}, {{4}}, about your home inquiry. {{5}} Reply STOP to opt out."
CATEGORIES = ("UTILITY", "MARKETING", "AUTHENTICATION")
_PLACE = re.compile(r"\{\{(\d+)\}\}")
_UNFIT = re.compile(r"[\n\r\t]| {5}")  # WhatsApp takes no such value
REVIEW_SECONDS = 300.0  # minutes to 48 hours at Meta; five simulated minutes here


class Templates:
    """The account's templates; one is there and approved from the start."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.is_allowed: Callable[[Request], bool] = lambda request: False  # noqa: ARG005 - set when assembled
        self.rows: dict[str, Row] = {}
        self._rejected_names: set[str] = set()
        sid = sandbox.config.whatsapp_template_sid
        types = {"twilio/text": {"body": BUILT_IN}}
        self.rows[sid] = self._row(
            sid, {"friendly_name": "lead_followup_v1", "variables": {"1": "Ana"}, "types": types}
        )
        self.rows[sid] |= {"approval": "approved", "category": "MARKETING"}

    def routes(self) -> list[Route]:
        """``/v1/Content`` and its neighbours."""
        return [
            Route("/v1/Content", self.create, methods=["POST"]),
            Route("/v1/Content", self.list_all, methods=["GET"]),
            Route("/v1/ContentAndApprovals", self.list_with_approvals, methods=["GET"]),
            Route("/v1/Content/{sid}", self.one, methods=["GET", "PUT", "DELETE"]),
            Route("/v1/Content/{sid}/ApprovalRequests", self.approval, methods=["GET"]),
            Route("/v1/Content/{sid}/ApprovalRequests/whatsapp", self.ask_approval, methods=["POST"]),
        ]

    def approved(self, sid: str) -> Row | None:
        """A template that may be sent outside the window."""
        row = self.rows.get(sid)
        return row if row is not None and row["approval"] == "approved" else None

    def refusal(self, form: dict[str, str]) -> int | None:
        """Why a create with these values is refused: unreadable, missing without a default, empty or unfit ones.

        What a request leaves out is filled from the template's own defaults, as at Twilio; it is never left empty.
        """
        sid, given = form.get("ContentSid", ""), form.get("ContentVariables", "")
        if given and not sid:
            return 21654
        try:
            values = json.loads(given or "{}")
        except ValueError:
            return 21656
        if not isinstance(values, dict):
            return 21656
        row = self.rows.get(sid)
        if row is not None:
            values = {number: None for number in _PLACE.findall(_words(row))} | row["variables"] | values
        is_fit = all(isinstance(value, str) and value.strip() and not _UNFIT.search(value) for value in values.values())
        return None if is_fit else 21656

    def rendered(self, form: dict[str, str]) -> str:
        """A template's words with its variables in place."""
        row = self.rows.get(form.get("ContentSid", ""))
        if row is None:
            return ""
        variables = {**row["variables"], **json.loads(form.get("ContentVariables") or "{}")}
        return _PLACE.sub(lambda found: variables[found.group(1)], _words(row))

    def _row(self, sid: str, body: Row) -> Row:
        now = iso(self._sandbox.now())
        base = f"https://content.twilio.com/v1/Content/{sid}"
        return {
            "sid": sid, "account_sid": self._sandbox.config.twilio_account_sid,
            "friendly_name": body.get("friendly_name", ""), "language": body.get("language", "en"),
            "variables": body.get("variables") or {}, "types": body.get("types") or {}, "url": base,
            "date_created": now, "date_updated": now,
            "links": {"approval_create": f"{base}/ApprovalRequests/whatsapp",
                      "approval_fetch": f"{base}/ApprovalRequests"},
            "approval": "unsubmitted", "category": "",
        }  # fmt: skip

    async def create(self, request: Request) -> Response:
        """A new template, unsubmitted."""
        if not self.is_allowed(request):
            return error(401, 20003)
        body: Row = await request.json()
        if not body.get("types"):
            return error(400, 21602)
        sid = new_sid("HX")
        self.rows[sid] = self._row(sid, body)
        return JSONResponse(_public(self.rows[sid]), 201)

    async def list_all(self, request: Request) -> Response:
        """Every template."""
        return self._list(request, _public)

    async def list_with_approvals(self, request: Request) -> Response:
        """Every template with its approval."""
        return self._list(request, lambda row: _public(row) | {"approval_requests": _state(row)})

    def _list(self, request: Request, show: Callable[[Row], Row]) -> Response:
        if not self.is_allowed(request):
            return error(401, 20003)
        path = request.url.path.rpartition("/v1/")[2]
        meta = {"page": 0, "page_size": 50, "first_page_url": f"https://content.twilio.com/v1/{path}",
                "previous_page_url": None, "next_page_url": None, "key": "contents",
                "url": f"https://content.twilio.com/v1/{path}"}  # fmt: skip
        return JSONResponse({"contents": [show(row) for row in self.rows.values()], "meta": meta})

    async def one(self, request: Request) -> Response:
        """Read, change or delete one template; a change must be approved again."""
        if not self.is_allowed(request):
            return error(401, 20003)
        row = self.rows.get(request.path_params["sid"])
        if row is None:
            return error(404, 20404)
        if request.method == "DELETE":
            del self.rows[row["sid"]]
            return Response(status_code=204)
        if request.method == "PUT":
            row |= {"types": (await request.json()).get("types") or row["types"], "approval": "unsubmitted"}
        return JSONResponse(_public(row))

    async def ask_approval(self, request: Request) -> Response:
        """Submit for approval; Meta decides a while later, and rejects a name it rejected before."""
        if not self.is_allowed(request):
            return error(401, 20003)
        row = self.rows.get(request.path_params["sid"])
        if row is None:
            return error(404, 20404)
        body: Row = await request.json()
        if body.get("category") not in CATEGORIES or not _NAME.fullmatch(str(body.get("name", ""))):
            return error(400, 21602)
        row |= {"approval": "received", "category": body["category"], "approval_name": body["name"]}
        fits = "{{" not in next(iter(row["types"].values())).get("body", "")[:2]
        decided = "approved" if fits and body["name"] not in self._rejected_names else "rejected"
        if decided == "rejected":
            self._rejected_names.add(body["name"])
        self._sandbox.scheduler.after_simulated(REVIEW_SECONDS, lambda: row.update(approval=decided))
        return JSONResponse({key: value for key, value in _state(row).items() if key != "type"}, 201)

    async def approval(self, request: Request) -> Response:
        """A template's approval."""
        if not self.is_allowed(request):
            return error(401, 20003)
        row = self.rows.get(request.path_params["sid"])
        if row is None:
            return error(404, 20404)
        url = row["links"]["approval_fetch"]
        return JSONResponse({"sid": row["sid"], "account_sid": row["account_sid"], "whatsapp": _state(row), "url": url})


def _words(row: Row) -> str:
    return next(iter(row["types"].values())).get("body", "")


def _public(row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in {"approval", "category", "approval_name"}}


def _state(row: Row) -> Row:
    reason = "a template may not start with a variable" if row["approval"] == "rejected" else ""
    return {"type": "whatsapp", "name": row.get("approval_name") or row["friendly_name"], "category": row["category"],
            "content_type": next(iter(row["types"]), "twilio/text"), "status": row["approval"],
            "rejection_reason": reason, "allow_category_change": True}  # fmt: skip
