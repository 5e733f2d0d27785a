"""The unsubscribe link of our emails.

What lives here: RFC 8058 one-click, the page with the choice, and their effect. What does not: making the link
(``messaging.links``), the lists (``messaging.suppression``, ``messaging.preferences``), the words (``pages``).

A GET never unsubscribes: mail scanners follow links. A POST always does, at least from email, unless what it asks for
by our own form is fewer emails. The page speaks the language of the email that led there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from leadpipe.errors import BadRecord
from leadpipe.gateway import pages, reports
from leadpipe.messaging import preferences
from leadpipe.messaging.links import Link, read_token
from leadpipe.messaging.suppression import ALL, active, lock_point, suppress
from leadpipe.policy.pack_file import load_pack

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.runtime import Runtime

_MAX_TOKEN = 500


def router(runtime: Runtime) -> APIRouter:
    """``GET`` and ``POST /u/{token}``."""
    routes = APIRouter()
    settings = runtime.settings

    def shown(request: Request, name: pages.Name, link: Link | None, status: int = 200) -> HTMLResponse:
        return pages.page(
            name,
            language=pages.language_of(request.headers.get("Accept-Language", ""), _language(runtime, link)),
            team=settings.brokerage_name,
            postal_address=settings.postal_address,
            status=status,
        )

    @routes.get("/u/{token}")
    async def show(token: str, request: Request) -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        """The page with the choice; changes nothing."""
        link = _read(runtime, token)
        if link is None:
            return shown(request, "unreadable", None, 404)
        return await run_in_threadpool(shown, request, "choose", link)

    @routes.post("/u/{token}")
    async def choose(token: str, request: Request) -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        """Unsubscribe, or send less; repeating it changes nothing and answers the same."""
        link = _read(runtime, token)
        if link is None:
            return shown(request, "unreadable", None, 404)
        choice = await _choice(request)

        def obey() -> HTMLResponse:
            return shown(request, reports.again_after_deadlock(lambda: _obey(runtime, link, choice)), link)

        return await run_in_threadpool(obey)

    return routes


async def _choice(request: Request) -> str:
    """What was ticked on our page; empty for a mail provider's one click, in whatever form it comes."""
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            return str(form.get("choice") or "")
    except HTTPException as error:
        if error.status_code == 413:
            raise
        return ""  # also of a body that never came whole: that they want to leave is said by the call itself


def _read(runtime: Runtime, token: str) -> Link | None:
    if len(token) > _MAX_TOKEN:
        return None
    try:
        return read_token(runtime.settings, token)
    except BadRecord:
        return None


def _obey(runtime: Runtime, link: Link, choice: str) -> pages.Name:
    """Carry the choice out; returns the page that says so."""
    if choice == "fewer":
        return _send_less(runtime, link)
    is_all = choice == "all"
    _end(runtime, link, "preference_page" if choice else "one_click", is_all)
    return "ended_all" if is_all else "ended_email"


def _send_less(runtime: Runtime, link: Link) -> pages.Name:
    """No more than one email of marketing a month, to every address of theirs; it takes no refusal back."""
    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        if not _is_known(connection, link.contact_point_id):
            return "fewer"
        people = _who(connection, link)
        points = {link.contact_point_id, *_points(connection, people, kind="email")}
        lock_point(connection, points)
        preferences.send_less(
            connection,
            contact_point_ids=points,
            gap_days=load_pack(now.date()).fewer_email_days,
            source="preference_page",
            now=now,
            person_id=people[0] if people else None,
            evidence={"message_id": link.message_id},
        )
        is_off = "email" in active(connection, [link.contact_point_id]).get(link.contact_point_id, {})
    return "still_ended" if is_off else "fewer"


def _language(runtime: Runtime, link: Link | None) -> str:
    """The language of the email that led here; empty when nobody knows any more."""
    if link is None or not link.message_id:
        return ""
    with runtime.engine.connect() as connection:
        return connection.execute(_LANGUAGE, {"message": link.message_id}).scalar() or ""


_LANGUAGE = text("select evidence -> 'variables' ->> 'language' from ledger.messages where id = cast(:message as uuid)")


def _end(runtime: Runtime, link: Link, source: str, is_all: bool) -> None:
    from leadpipe.outreach import events

    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        if not _is_known(connection, link.contact_point_id):
            return  # the address was erased: nobody can write to it any more
        people = _who(connection, link)
        points = _points(connection, people) if is_all else set[int]()
        # All at once: whoever waits for a call holds nothing that its sender could wait for.
        lock_point(connection, {link.contact_point_id, *points})
        for point in sorted({link.contact_point_id, *points}):
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
        for person_id in people:
            events.note(connection, person_id, "opt_out", settings=runtime.settings, now=now)


def _is_known(connection: Connection, contact_point_id: int) -> bool:
    found = connection.execute(
        text("select 1 from ledger.contact_points where id = :id for key share"), {"id": contact_point_id}
    )
    return found.first() is not None


_WHO = text(
    """
    with written as (
      select coalesce(p.merged_into, p.person_id) as person_id
      from ledger.messages m join ledger.people p on p.person_id = m.person_id
      where m.id::text = :message and m.contact_point_id = :point
    )
    select person_id from written
    union all
    select person_id from ledger.person_contact_points
    where contact_point_id = :point and detached_at is null and not exists (select 1 from written)
    order by 1
    """
)


def _who(connection: Connection, link: Link) -> list[int]:
    """The person the mail was written to; without the mail, everyone who has the address."""
    rows = connection.execute(_WHO, {"message": link.message_id, "point": link.contact_point_id})
    return [int(row.person_id) for row in rows]


def _points(connection: Connection, people: list[int], *, kind: str = "") -> set[int]:
    rows = connection.execute(
        text(
            "select o.contact_point_id from ledger.person_contact_points o "
            "join ledger.contact_points c on c.id = o.contact_point_id "
            "where o.person_id = any(:people) and :kind in ('', c.kind)"
        ),
        {"people": people, "kind": kind},
    )
    return {int(row.contact_point_id) for row in rows}
