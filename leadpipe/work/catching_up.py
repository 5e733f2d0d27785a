"""Catching up after a take-over: what happened outside since the backup is known before anything leaves.

What lives here: when all of it has been read, opt-outs that only the CRM remembers, texts that the former installation
has sent. What does not: reading (``work.poll``, the replies job), what is in doubt afterwards (``messaging.doubt``).

The poll reads on from the marks of the backup: people and activity at the CRM, inbound texts, the senders' suppression
lists. What only the lost ledger knew, refusals by a link or by email, it had also written to the CRM as a tag; a tag of
leadpipe's that this ledger never wrote is such a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text

from leadpipe.crm import optout_tags, watermark
from leadpipe.crm.sync import ACTIVITY
from leadpipe.errors import TransientError
from leadpipe.messaging import doubt, lookup, right, take_over
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.protocol import Event, Move, State, write
from leadpipe.messaging.suppression import suppress

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from twilio.rest import Client

    from leadpipe.messaging.doubt import Doubt
    from leadpipe.runtime import Runtime

# The poll's steps that tell of what leads and the team did; each has a mark of when it last came through.
SOURCES = (
    "people",
    *(table.collection for table in ACTIVITY),
    "conversations",
    "unsubscribes",
    "twilio",
    "ses",
    "mail",
    "sns",
    "reports",
)
# Texts that wait and may have gone are looked up one by one, so many in a pass; the others wait for a person.
LOOKED_UP = 200
# Twilio's list lags (messaging sheet 1.3): what is not in it now may be later, so absence proves nothing.
SENT_BEFORE = "sent_by_former"
TAG_SOURCE = "crm_tag"

log = structlog.get_logger()

_UNREAD = text(
    """
    select (select count(*) from ledger.inbound_messages where read_at is null and received_at <= :taken_at)
      + (select count(*) from ledger.inbox where state = 'new' and received_at <= :taken_at)
    """
)
# By person: tags of leadpipe's that its own journal does not explain.
_TAGS = text(
    """
    select p.person_id, tag from ledger.people p cross join unnest(p.tags) as tag
    where tag = any(:tags) and p.deleted_at is null and not exists (
      select 1 from ledger.writebacks w
      where w.person_id = p.person_id and w.kind = 'tags' and w.payload -> 'tags' ? tag)
    order by 1, 2
    """
)
_POINTS = text(
    """
    select c.id, c.kind from ledger.person_contact_points o join ledger.contact_points c on c.id = o.contact_point_id
    where o.person_id = :person and o.detached_at is null order by c.id
    """
)
_TEXTS = text(
    """
    select m.id::text as id, m.state, m.channel, m.body, c.address
    from ledger.messages m join ledger.contact_points c on c.id = m.contact_point_id
    where m.state in ('queued', 'held') and m.channel in ('sms', 'whatsapp')
      and (m.due_at < :until or m.created_at > :taken_at)
    order by m.priority, m.due_at limit :limit
    """
)


@dataclass(frozen=True, kw_only=True)
class CaughtUp:
    """What came of catching up; ``is_over`` is False while something is still to be read."""

    is_over: bool
    waits_for: tuple[str, ...] = ()
    count_refusals: int = 0
    count_sent_before: int = 0


def is_due(runtime: Runtime) -> bool:
    """Whether a take-over waits for everything to be read."""
    with runtime.engine.connect() as connection:
        return right.standing(connection, runtime.settings).why == right.CATCHING_UP


def finish(runtime: Runtime, *, client: Client | None = None) -> CaughtUp | None:
    """End catching up if everything has been read since the right was taken; None when there is nothing to catch up.

    ``client`` is Twilio's, built from the settings when needed and not given.
    """
    engine, now = runtime.engine, runtime.clock.now()
    with engine.connect() as connection:
        standing = right.standing(connection, runtime.settings)
        if standing.why != right.CATCHING_UP or standing.doubt is None:
            return None
        unread = int(connection.execute(_UNREAD, {"taken_at": standing.doubt.taken_at}).scalar_one())
    missing = [source for source in SOURCES if not _is_read(runtime, source, standing.doubt.taken_at)]
    waits_for = (*missing, *((f"{unread} unread",) if unread else ()))
    if waits_for:
        return CaughtUp(is_over=False, waits_for=waits_for)
    with engine.begin() as connection:
        count_refusals = _refuse_by_tags(connection, now)
    sent = _sent_before(runtime, standing.doubt, client)
    with engine.begin() as connection:
        _cancel(connection, sent, now)
        take_over.note_caught_up(connection, now=now)
        _tell(connection, standing.doubt, count_refusals, len(sent), now)
    return CaughtUp(is_over=True, count_refusals=count_refusals, count_sent_before=len(sent))


def _is_read(runtime: Runtime, source: str, taken_at: datetime) -> bool:
    last = watermark.read(runtime.engine, f"poll:{source}")
    return last is not None and last >= taken_at


def _refuse_by_tags(connection: Connection, now: datetime) -> int:
    """Suppress every address of people whose tag says that they refused, as far as the tag goes; counts people."""
    found = connection.execute(_TAGS, {"tags": sorted(optout_tags.REFUSALS)}).all()
    for row in found:
        kinds, channels = optout_tags.REFUSALS[row.tag]
        for point in connection.execute(_POINTS, {"person": row.person_id}):
            if point.kind in kinds:
                suppress(
                    connection, contact_point_id=point.id, channels=channels, source=TAG_SOURCE, at=now, now=now,
                    person_id=row.person_id, evidence={"tag": row.tag},
                )  # fmt: skip
    return len({row.person_id for row in found})


def _sent_before(runtime: Runtime, gap: Doubt, client: Client | None) -> list[tuple[str, str, str]]:
    """Waiting texts that Twilio has already: message id, state and Twilio's id. A list that fails proves nothing."""
    if not runtime.settings.twilio_account_sid:
        return []
    with runtime.engine.connect() as connection:
        waiting = connection.execute(_TEXTS, {"until": gap.until, "taken_at": gap.taken_at, "limit": LOOKED_UP}).all()
        bound = set(
            connection.execute(
                text("select provider_id from ledger.messages where provider = 'twilio' and provider_id is not null "
                     "and changed_at >= :since"),
                {"since": gap.since - timedelta(days=1)},
            ).scalars()
        )  # fmt: skip
    if not waiting:
        return []
    if client is None:
        from leadpipe.messaging.channels.twilio_api import build_client

        client = build_client(runtime.settings)
    found: list[tuple[str, str, str]] = []
    for row in waiting:
        wanted = lookup.Wanted(channel=row.channel, to=row.address, body=row.body, attempted_at=gap.since)
        try:
            ours = lookup.ours_among(lookup.twilio_rows(client, wanted), wanted, bound_sids=bound)
        except TransientError as error:
            log.warning(
                "texts of the former installation could not be looked up; they wait for a person", why=str(error)
            )
            break
        if ours is not None and ours.status not in {"failed", "canceled"}:
            bound.add(ours.sid)
            found.append((row.id, row.state, ours.sid))
    return found


def _cancel(connection: Connection, sent: list[tuple[str, str, str]], now: datetime) -> None:
    ids = [message_id for message_id, _, _ in sent]
    states = dict(
        connection.execute(
            text(
                "select id::text, state from ledger.messages where id = any(cast(:ids as uuid[])) "
                "and state in ('queued', 'held', 'review') order by id for no key update"
            ),
            {"ids": ids},
        ).all()
    )
    moves = [
        (
            State(states[message_id]),
            Move(message_id=message_id, event=Event.CANCEL, to=State.CANCELLED, code=SENT_BEFORE, detail={"sid": sid}),
        )
        for message_id, _, sid in sent
        if message_id in states
    ]
    write(connection, moves, at=now)


def _tell(connection: Connection, gap: Doubt, count_refusals: int, count_sent: int, now: datetime) -> None:
    raise_alert(
        connection,
        kind="caught_up",
        dedupe_key=f"caught_up:{gap.taken_at.isoformat()}",
        title="Sending goes on after the take-over",
        body=f"All that happened since {right.minute(gap.since)} has been read: {count_refusals} people had refused, "
        f"{count_sent} texts had gone out already. What may have gone out and cannot be looked up waits for a person, "
        f"with the reason {doubt.CODE}: `leadpipe messages list --state review`.",
        now=now,
    )
