"""The unsubscribe link of our emails.

What lives here: RFC 8058 one-click, the page with the choice, and their effect. What does not: making the link
(``messaging.links``), the list itself (``messaging.suppression``).

A GET never unsubscribes: mail scanners follow links. A POST always does, at least from email, whatever its body says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from leadpipe.errors import BadRecord
from leadpipe.gateway.pages import choices, page
from leadpipe.messaging.links import Link, read_token
from leadpipe.messaging.suppression import ALL, suppress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.runtime import Runtime

_MAX_TOKEN = 500


def router(runtime: Runtime) -> APIRouter:
    """``GET`` and ``POST /u/{token}``."""
    routes = APIRouter()
    settings = runtime.settings
    team = settings.brokerage_name

    def unknown() -> HTMLResponse:
        body = (
            "<p>This link is incomplete. Please open it again from the email, "
            "or answer that email with the word <b>unsubscribe</b>.</p>"
        )
        return page("We cannot read this link", body, team=team, status=404)

    @routes.get("/u/{token}")
    async def show(token: str) -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        """The page with the choice; changes nothing."""
        if _read(runtime, token) is None:
            return unknown()
        return page("Unsubscribe", choices(team), team=team, postal_address=settings.postal_address)

    @routes.post("/u/{token}")
    async def end(token: str, request: Request) -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        """Unsubscribe; repeating it changes nothing and answers the same."""
        link = _read(runtime, token)
        if link is None:
            return unknown()
        choice = await _choice(request)
        is_all = choice == "all"
        await run_in_threadpool(_end, runtime, link, "preference_page" if choice else "one_click", is_all)
        what = "any emails, texts or WhatsApp messages" if is_all else "emails"
        body = f"<p>You will not get {what} from us any more. There is nothing else to do.</p>"
        return page("You are unsubscribed", body, team=team, postal_address=settings.postal_address)

    return routes


async def _choice(request: Request) -> str:
    """What was ticked on our page; empty for a mail provider's one click, in whatever form it comes."""
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            return str(form.get("choice") or "")
    except HTTPException as error:
        if error.status_code == 413:
            raise
        return ""


def _read(runtime: Runtime, token: str) -> Link | None:
    if len(token) > _MAX_TOKEN:
        return None
    try:
        return read_token(runtime.settings, token)
    except BadRecord:
        return None


def _end(runtime: Runtime, link: Link, source: str, is_all: bool) -> None:
    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        if not _is_known(connection, link.contact_point_id):
            return  # the address was erased: nobody can write to it any more
        people = _people(connection, link.contact_point_id)
        points = _points(connection, link.contact_point_id, people) if is_all else [link.contact_point_id]
        for point in points:
            suppress(
                connection,
                contact_point_id=point,
                channels=(ALL,) if is_all else ("email",),
                source=source,
                at=now,
                now=now,
                person_id=people[0] if people else None,
                evidence={"message_id": link.message_id},
            )


def _is_known(connection: Connection, contact_point_id: int) -> bool:
    found = connection.execute(
        text("select 1 from ledger.contact_points where id = :id for key share"), {"id": contact_point_id}
    )
    return found.first() is not None


def _people(connection: Connection, contact_point_id: int) -> list[int]:
    rows = connection.execute(
        text(
            "select person_id from ledger.person_contact_points where contact_point_id = :id "
            "and detached_at is null order by person_id"
        ),
        {"id": contact_point_id},
    )
    return [int(row.person_id) for row in rows]


def _points(connection: Connection, contact_point_id: int, people: list[int]) -> list[int]:
    """This address and every other of the people who have it, in id order as locks are taken."""
    rows = connection.execute(
        text("select contact_point_id from ledger.person_contact_points where person_id = any(:people)"),
        {"people": people},
    )
    return sorted({contact_point_id, *(int(row.contact_point_id) for row in rows)})
