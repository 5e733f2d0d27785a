"""One batch of candidates under lock: which of them leave now, and the attempt booked for each.

What lives here: the order of checks and the moves that follow. What does not: choosing the candidates (``claim``), the
law (``gate``), the calls (``drain``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.messaging import caps, doubt, gate, safeguards, suppression, warm_up
from leadpipe.messaging.cases import subject_of
from leadpipe.messaging.channels.base import SendRequest
from leadpipe.messaging.email_pauses import LOOK_AGAIN, PURPOSE, code_of
from leadpipe.messaging.gate import state_for
from leadpipe.messaging.protocol import Event, Move, State, write
from leadpipe.messaging.reputation import sending_domain
from leadpipe.messaging.switch import GOES_SINCE
from leadpipe.messaging.warm_up import WarmUp
from leadpipe.settings import Sending

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from leadpipe.messaging.email_pauses import Rate
    from leadpipe.policy.verdict import Verdict
    from leadpipe.settings import Settings

# An unread answer is read within seconds; the reader wakes what is held, this is only the net below.
UNREAD_HOLD = timedelta(minutes=2)
# Free text may follow within 24 hours of the person's last WhatsApp message; minutes of margin for the way there.
WHATSAPP_WINDOW = timedelta(hours=24) - timedelta(minutes=10)
# What a person just asked for does not wait for the gap between two plans' messages.
_ANSWERS = frozenset(caps.UNCAPPED_PURPOSES)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message whose attempt is committed: it must be called once, now, or it becomes unknown.

    Attributes:
        last_suppression_id: the newest suppression that the claim could have seen; a later one came after it.
    """

    request: SendRequest
    person_id: int
    attempt_id: int
    count_not_sent: int
    last_suppression_id: int


@dataclass(kw_only=True)
class Claim:
    """What one claim did: messages to call, and how many went to each other state (``cancelled:reply`` ...)."""

    claimed: list[Claimed] = field(default_factory=list[Claimed])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    stopped_by: str = ""


_ROWS = f"""
    select m.id::text as id, m.state, m.person_id, m.contact_point_id, m.enrolment_id, m.plan, m.step, m.occurrence,
      m.channel, m.purpose, m.template, m.subject, m.body, m.evidence -> 'variables' as variables, m.is_model_written,
      m.attempts, m.due_at, m.not_before_at, m.expires_at, {GOES_SINCE} as goes_since, c.address, c.kind,
      p.merged_into, p.deleted_at, p.stage, p.automation_paused_at,
      e.state as enrolment_state, own.detached_at is not null or own.person_id is null as is_detached
    from ledger.messages m
    join ledger.contact_points c on c.id = m.contact_point_id
    join ledger.people p on p.person_id = m.person_id
    left join ledger.enrolments e on e.id = m.enrolment_id
    left join ledger.person_contact_points own
      on own.person_id = m.person_id and own.contact_point_id = m.contact_point_id
    where m.id = any(cast(:ids as uuid[])) and m.state in ('queued', 'held')
    order by m.priority, coalesce(m.not_before_at, m.due_at), m.id
    for no key update of m skip locked
    """  # noqa: S608 - a fixed expression


class Batch:
    """The decisions of one claim, made together."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        now: datetime,
        worker: str,
        providers: dict[str, str],
        room: caps.Room,
        gap: doubt.Doubt | None = None,
        email_pauses: Sequence[Rate] = (),
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._now = now
        self._worker = worker
        self._providers = providers
        self._room = room
        self._gap = gap
        self._email_pauses = email_pauses
        self._warm_up = WarmUp(connection, settings, now)
        self._moves: list[tuple[State, Move]] = []

    def run(self, ids: list[str], found: Claim) -> None:
        """Decide each message, write moves, verdicts and attempts; ``found`` takes what came of it."""
        sql = text(safeguards.locking(_ROWS, self._settings))
        rows = self._connection.execute(sql, {"ids": ids}).all() if ids else []
        if not rows:
            return
        standing = self._not_held_back(self._not_in_doubt(self._still_wanted(rows)))
        subjects = [subject_of(row) for row in standing]
        verdicts = gate.judge(self._connection, subjects, now=self._now, settings=self._settings)
        released = self._released([s.message_id for s, v in zip(subjects, verdicts, strict=True) if _waits(v)])
        going: list[Row[Any]] = []
        for row, verdict in zip(standing, verdicts, strict=True):
            if self._judged(row, verdict, is_released=row.id in released):
                going.append(row)
        gate.record(self._connection, subjects, verdicts, moment="claim", now=self._now, settings=self._settings)
        write(self._connection, safeguards.unguarded(self._connection, self._moves, self._settings), at=self._now)
        found.claimed = self._book(going)
        doubt.settle_passages(self._connection, [row.id for row in going], self._gap)
        for _, made in self._moves:
            found.counts[made.to] = found.counts.get(made.to, 0) + 1

    def _move(self, row: Row[Any], event: Event, to: State, code: str | None, **more: Any) -> None:
        self._moves.append((State(row.state), Move(message_id=row.id, event=event, to=to, code=code, **more)))

    def _hold(self, row: Row[Any], code: str, until: datetime) -> None:
        self._move(row, Event.CLAIM, State.HELD, code, not_before_at=until)

    def _still_wanted(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Rows that nothing in the ledger has overtaken; the others expire or are cancelled."""
        stale_after = timedelta(hours=self._settings.stale_after_hours)
        kept: list[Row[Any]] = []
        for row in rows:
            if (row.expires_at and row.expires_at <= self._now) or row.goes_since + stale_after <= self._now:
                self._move(row, Event.EXPIRE, State.EXPIRED, "stale")
            elif why := self._overtaken_by(row):
                self._move(row, Event.CANCEL, State.CANCELLED, why)
            elif row.channel not in self._providers and self._settings.sending is not Sending.OFF:
                self._move(row, Event.CLAIM, State.BLOCKED, "channel_off")
            else:
                kept.append(row)
        return kept

    def _not_in_doubt(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Rows that no former installation may have sent; the others wait for a person."""
        doubtful = doubt.in_doubt(self._connection, [row.id for row in rows], self._gap, now=self._now)
        for row in rows:
            if row.id in doubtful:
                self._move(row, Event.CLAIM, State.REVIEW, doubt.CODE)
        return [row for row in rows if row.id not in doubtful]

    def _overtaken_by(self, row: Row[Any]) -> str:
        reasons = {
            "merged": row.merged_into is not None,
            "person_deleted": row.deleted_at is not None,
            "automation_paused": row.automation_paused_at is not None,
            "stop_stage": row.stage in self._settings.stop_stages,
            "enrolment_ended": row.enrolment_state == "ended",
            "contact_point_detached": row.is_detached,
        }
        return next((code for code, holds in reasons.items() if holds), "")

    def _not_held_back(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Rows of people with no unread answer and no other message under way."""
        if not rows:
            return []
        unread_points, unread_people = self._unread(rows)
        busy = self._busy(rows)
        taken: set[int] = set()
        kept: list[Row[Any]] = []
        for row in rows:
            if row.contact_point_id in unread_points or row.person_id in unread_people:
                self._hold(row, "unread_inbound", self._now + UNREAD_HOLD)
            elif row.purpose not in _ANSWERS and (until := busy.get(row.person_id)):
                self._hold(row, "one_at_a_time", until)
            elif why := self._rests(row):
                self._hold(row, why, self._now + LOOK_AGAIN)
            elif row.person_id not in taken and (until := self._warm_up.holds(row, rows)):
                self._hold(row, warm_up.CODE, until)
            elif row.person_id not in taken and self._room.take(
                plan=row.plan, channel=row.channel, purpose=row.purpose
            ):
                taken.add(row.person_id)
                kept.append(row)
        return kept

    def _rests(self, row: Row[Any]) -> str:
        """Why marketing email of this plan, or all of it, rests until a person resumes it."""
        if row.channel != "email" or row.purpose != PURPOSE:
            return ""
        return code_of(self._email_pauses, plan=row.plan, domain=sending_domain(self._settings))

    def _unread(self, rows: Sequence[Row[Any]]) -> tuple[set[int], set[int]]:
        unread = self._connection.execute(
            text(
                "select contact_point_id, person_id from ledger.inbound_messages where read_at is null "
                "and (contact_point_id = any(:points) or person_id = any(:people))"
            ),
            {"points": [row.contact_point_id for row in rows], "people": [row.person_id for row in rows]},
        ).all()
        return {row.contact_point_id for row in unread}, {row.person_id for row in unread if row.person_id}

    def _busy(self, rows: Sequence[Row[Any]]) -> dict[int, datetime]:
        """Until when a person has just been written to: one message at a time, whatever the plans."""
        gap = timedelta(minutes=self._settings.min_gap_minutes)
        found = self._connection.execute(
            text(
                "select person_id, max(coalesce(accepted_at, changed_at)) as at "
                "from ledger.messages where person_id = any(:people) "
                "and (state in ('sending', 'unknown') or accepted_at > :since) group by 1"
            ),
            {"people": [row.person_id for row in rows], "since": self._now - gap},
        )
        return {row.person_id: row.at + gap for row in found if row.at is not None and row.at + gap > self._now}

    def _released(self, ids: list[str]) -> set[str]:
        """Those that a person has released before; the same doubt is not put to them twice."""
        if not ids:
            return set()
        found = self._connection.execute(
            text(
                "select message_id::text from ledger.message_events "
                "where message_id = any(cast(:ids as uuid[])) and event = :release"
            ),
            {"ids": ids, "release": str(Event.RELEASE)},
        )
        return set(found.scalars())

    def _judged(self, row: Row[Any], verdict: Verdict, *, is_released: bool) -> bool:
        """Move by the verdict; True when the message goes out now."""
        state, code, until = state_for(verdict, row.id, is_released=is_released)
        if state is State.HELD and until is not None:
            self._hold(row, code or "", until)
        elif state is not State.QUEUED:
            self._move(row, Event.CLAIM, state, code)
        elif barred := self._barred_by_mode(row):
            self._move(row, Event.CLAIM, State.BLOCKED, barred)
        else:
            provider = self._providers[row.channel]
            self._move(row, Event.CLAIM, State.SENDING, None, worker=self._worker, provider=provider)
            return True
        return False

    def _barred_by_mode(self, row: Row[Any]) -> str:
        """What the sending mode keeps in the house; the row then says that it would have gone."""
        if self._settings.sending is Sending.OFF:
            return "sending_off"
        if self._settings.sending is Sending.ALLOWLIST and row.address not in self._settings.allowlist:
            return "not_on_allowlist"
        return ""

    def _book(self, rows: Sequence[Row[Any]]) -> list[Claimed]:
        if not rows:
            return []
        ids = [row.id for row in rows]
        booked = self._connection.execute(
            text(
                "insert into ledger.attempts (message_id, worker, provider, started_at) "
                "select id, :worker, provider, :now "
                "from unnest(cast(:ids as uuid[]), cast(:providers as text[])) as going (id, provider) "
                "returning id, message_id::text"
            ),
            {
                "ids": ids,
                "worker": self._worker,
                "providers": [self._providers[row.channel] for row in rows],
                "now": self._now,
            },
        )
        attempt_of = {message_id: attempt_id for attempt_id, message_id in booked}
        sessions = self._whatsapp_sessions([row.contact_point_id for row in rows if row.channel == "whatsapp"])
        not_sent = self._not_sent_before(ids)
        last_suppression_id = suppression.last_id(self._connection)
        return [
            Claimed(
                request=_request(row, is_in_session=row.contact_point_id in sessions),
                person_id=row.person_id,
                attempt_id=attempt_of[row.id],
                count_not_sent=not_sent.get(row.id, 0),
                last_suppression_id=last_suppression_id,
            )
            for row in rows
        ]

    def _whatsapp_sessions(self, points: list[int]) -> set[int]:
        if not points:
            return set()
        found = self._connection.execute(
            text(
                "select distinct contact_point_id from ledger.inbound_messages "
                "where channel = 'whatsapp' and contact_point_id = any(:points) and received_at > :since"
            ),
            {"points": points, "since": self._now - WHATSAPP_WINDOW},
        )
        return set(found.scalars())

    def _not_sent_before(self, ids: list[str]) -> dict[str, int]:
        found = self._connection.execute(
            text(
                "select message_id::text, count(*) from ledger.attempts "
                "where message_id = any(cast(:ids as uuid[])) and outcome = 'not_sent' group by 1"
            ),
            {"ids": ids},
        )
        return {row[0]: row[1] for row in found}


def _waits(verdict: Verdict) -> bool:
    return verdict.decision == "REVIEW"


def _request(row: Row[Any], *, is_in_session: bool) -> SendRequest:
    variables = row.variables if isinstance(row.variables, dict) else {}
    return SendRequest(
        message_id=row.id,
        channel=row.channel,
        contact_point_id=row.contact_point_id,
        to=row.address,
        subject=row.subject,
        body=row.body,
        plan=row.plan,
        step=row.step,
        occurrence=row.occurrence,
        purpose=row.purpose,
        template=row.template,
        is_in_session=is_in_session,
        variables=variables,
        in_reply_to=str(variables.get("in_reply_to", "")),
    )
