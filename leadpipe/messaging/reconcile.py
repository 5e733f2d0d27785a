"""Finding out what became of messages whose call gave no answer, without ever sending one again.

What lives here: when to look, how long to wait for each provider, and giving up to a person. What does not: reading a
provider's list (``lookup``), what a found status means (``callbacks``).

Callbacks come first: most unknown messages are resolved by the provider's own report, which names our message. An empty
list proves nothing, so a message is parked only when a provider's patience has run out, and what is parked is looked
for a while longer: a list can lag by more than anybody waits.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leadpipe.errors import TransientError
from leadpipe.messaging import failpoints, lookup
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.callbacks import TwilioStatus, apply_twilio_status
from leadpipe.messaging.protocol import LOOKED_UP, Event, Move, State, move_where_legal
from leadpipe.messaging.review import expire_reviews

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row
    from twilio.rest import Client

    from leadpipe.clock import Clock
    from leadpipe.settings import Settings

# Messaging sheet 7: look after 2, 15 and 60 minutes, then hourly.
FIRST_LOOKS = (timedelta(minutes=2), timedelta(minutes=15), timedelta(minutes=60))
LATER_LOOKS = timedelta(hours=1)
AFTER_FAILURE = timedelta(minutes=2)
# What a person has been asked about is still looked for, until nobody would look themselves any more.
PARKED_LOOKS = timedelta(hours=6)
PARKED_UNTIL = timedelta(days=7)
# Until when a provider may still tell. SES's events take minutes, SNS never reports to us.
PATIENCE = {"twilio": timedelta(hours=24), "ses": timedelta(hours=1), "sns": timedelta(0)}
DEFAULT_PATIENCE = timedelta(hours=24)
# When no event of a neighbouring message came either, the way of the events is broken, and silence means nothing.
LONGEST_PATIENCE = timedelta(hours=24)
NEIGHBOURS = timedelta(minutes=10)
# Twilio loses a report when our address was down for its retries: what is not final after this is asked for.
SWEEP_AFTER = timedelta(hours=1)
SWEEP_EVERY = timedelta(minutes=10)
SWEEP_UNTIL = timedelta(days=2)
BATCH = 50
_LOCK_KEY = 7_305_113
_SWEEP_MARK = "twilio_status_sweep"


@dataclass(kw_only=True)
class Reconciled:
    """What one pass found out; counts only."""

    count_unsure: int = 0
    count_looked_up: int = 0
    count_found: int = 0
    count_parked: int = 0
    count_swept: int = 0
    count_failures: int = 0
    count_expired: int = 0

    def as_metadata(self) -> dict[str, int]:
        """Counts for Dagster."""
        return {name.removeprefix("count_"): count for name, count in vars(self).items()}


# The longest not looked at first, so that each has its turn however many there are.
_UNSURE = text(
    """
    select m.id::text as id, m.state, m.channel, m.provider, m.body, c.address, tried.at as attempted_at,
      looks.count_done, looks.last_done_at, looks.last_at, looks.last_code
    from ledger.messages m
    join ledger.contact_points c on c.id = m.contact_point_id
    join lateral (select max(a.started_at) as at from ledger.attempts a where a.message_id = m.id) tried on true
    join lateral (
      select count(*) filter (where e.code <> 'lookup_failed') as count_done,
        max(e.at) filter (where e.code <> 'lookup_failed') as last_done_at,
        max(e.at) as last_at, (array_agg(e.code order by e.id desc))[1] as last_code
      from ledger.message_events e where e.message_id = m.id and e.event = :looked_up) looks on true
    where m.state in ('unknown', 'parked') and tried.at is not null
      and (m.state = 'unknown' or (m.provider = 'twilio' and tried.at > :parked_since))
    order by m.state = 'parked', coalesce(looks.last_at, tried.at) limit 2000
    """
)


def reconcile(*, engine: Engine, settings: Settings, clock: Clock, client: Client | None = None) -> Reconciled:
    """One pass: look up what is due to be looked up, park what nobody can tell, expire reviews nobody released.

    Safe to call as often as one likes: while nothing is unsure it costs three short queries, and a second pass at the
    same time does nothing.
    ``client`` is Twilio's, built from the settings when needed and not given.
    """
    report = Reconciled()
    with engine.begin() as connection:
        report.count_expired = expire_reviews(connection, now=clock.now())
        asked = {"looked_up": LOOKED_UP, "parked_since": clock.now() - PARKED_UNTIL}
        found = connection.execute(_UNSURE, asked).all()
        is_sweep_due = bool(settings.twilio_account_sid) and _is_sweep_due(connection, clock.now())
    report.count_unsure = sum(row.state == State.UNKNOWN for row in found)
    if not found and not is_sweep_due:
        return report
    with _alone(engine) as is_alone:
        if is_alone:
            _Pass(engine, settings, clock, client, report).run(found, is_sweep_due=is_sweep_due)
    return report


@contextmanager
def _alone(engine: Engine) -> Generator[bool]:
    """Whether this is the only pass under way; a session lock, so that no transaction spans the provider's calls."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        got = bool(connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}).scalar_one())
        try:
            yield got
        finally:
            # Let go at once: the server ends a closed session in its own time, and the next pass would find it taken.
            if got:
                with suppress(DBAPIError):
                    connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
            # A pooled connection keeps its session, and the session its locks.
            connection.invalidate()


class _Pass:
    """One pass over what is unsure."""

    def __init__(
        self, engine: Engine, settings: Settings, clock: Clock, client: Client | None, report: Reconciled
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._client = client
        self._report = report

    def run(self, unsure: Sequence[Row[Any]], *, is_sweep_due: bool) -> None:
        now = self._clock.now()
        listed = [row for row in unsure if row.provider == "twilio" and self._settings.twilio_account_sid]
        for row in [row for row in listed if now >= next_look_at(row)][:BATCH]:
            self._look_up(row)
        self._park([row for row in unsure if row.state == State.UNKNOWN and self._is_given_up(row, now)], now)
        if is_sweep_due:
            self._sweep(now)

    def _twilio(self) -> Client:
        if self._client is None:
            from leadpipe.messaging.channels.twilio_api import build_client

            self._client = build_client(self._settings)
        return self._client

    def _look_up(self, row: Row[Any]) -> None:
        self._report.count_looked_up += 1
        wanted = lookup.Wanted(channel=row.channel, to=row.address, body=row.body, attempted_at=row.attempted_at)
        try:
            rows = lookup.twilio_rows(self._twilio(), wanted)
        except TransientError:
            self._report.count_failures += 1
            self._note(row.id, "lookup_failed", {})
            return
        failpoints.hit("reconcile.looked_up")
        with self._engine.begin() as connection:
            bound = connection.execute(
                text("select provider_id from ledger.messages where provider = 'twilio' and provider_id = any(:sids)"),
                {"sids": [listed.sid for listed in rows]},
            ).scalars()
            found = lookup.ours_among(rows, wanted, bound_sids=set(bound))
            _append_look(connection, row.id, "listed" if found else "not_listed", {"rows": len(rows)}, self._now())
            if found is not None:
                self._report.count_found += 1
                self._apply(connection, row.id, found)

    def _apply(self, connection: Connection, message_id: str, found: lookup.Row) -> None:
        status = TwilioStatus(message_id=message_id, sid=found.sid, status=found.status, error_code=found.error_code)
        apply_twilio_status(connection, status, now=self._now(), event=Event.RECONCILE)

    def _now(self) -> datetime:
        return self._clock.now()

    def _note(self, message_id: str, code: str, detail: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            _append_look(connection, message_id, code, detail, self._now())

    def _is_given_up(self, row: Row[Any], now: datetime) -> bool:
        """Whether the provider's patience is over; for Twilio only once a list was read after that moment."""
        patience = PATIENCE.get(row.provider, DEFAULT_PATIENCE)
        waited = now - row.attempted_at
        if waited < patience:
            return False
        if row.provider == "twilio" and self._settings.twilio_account_sid:
            return row.last_done_at is not None and row.last_done_at >= row.attempted_at + patience
        if row.provider == "ses" and waited < LONGEST_PATIENCE:
            with self._engine.connect() as connection:
                return _do_events_come(connection, row.attempted_at)
        return True

    def _park(self, rows: Sequence[Row[Any]], now: datetime) -> None:
        if not rows:
            return
        with self._engine.begin() as connection:
            moves = [Move(message_id=row.id, event=Event.RECONCILE, to=State.PARKED, code="no_trace") for row in rows]
            refused = {made.message_id for made in move_where_legal(connection, moves, at=now)}
            parked = [row for row in rows if row.id not in refused]
            self._report.count_parked += len(parked)
            for channel in sorted({row.channel for row in parked}):
                _tell(connection, channel, [row.id for row in parked if row.channel == channel], now)

    def _sweep(self, now: datetime) -> None:
        with self._engine.begin() as connection:
            rows = connection.execute(
                text(
                    "select id::text as id, provider_id from ledger.messages where provider = 'twilio' "
                    "and state in ('accepted', 'sent') and provider_id is not null "
                    "and accepted_at between :from and :to order by accepted_at desc limit :count"
                ),
                {"from": now - SWEEP_UNTIL, "to": now - SWEEP_AFTER, "count": BATCH},
            ).all()
            _mark_sweep(connection, now)
        for row in rows:
            try:
                found = lookup.twilio_status(self._twilio(), row.provider_id)
            except TransientError:
                self._report.count_failures += 1
                return
            with self._engine.begin() as connection:
                self._apply(connection, row.id, found)
            self._report.count_swept += 1


def next_look_at(row: Any) -> datetime:
    """When it is looked up next: 2, 15 and 60 minutes after its attempt, then hourly, and seldom once it is parked."""
    if row.last_code == "lookup_failed":
        return row.last_at + AFTER_FAILURE
    if row.state == State.PARKED:
        return max(row.last_at or row.attempted_at, row.attempted_at) + PARKED_LOOKS
    if row.count_done < len(FIRST_LOOKS):
        return row.attempted_at + FIRST_LOOKS[row.count_done]
    return row.last_at + LATER_LOOKS


def _append_look(connection: Connection, message_id: str, code: str, detail: dict[str, Any], at: datetime) -> None:
    """An event that moves nothing: it says that we looked, and when to look again follows from it."""
    import json

    connection.execute(
        text(
            "insert into ledger.message_events (message_id, from_state, to_state, event, code, detail, at) "
            "select id, state, state, :event, :code, cast(:detail as jsonb), :at from ledger.messages "
            "where id = cast(:id as uuid)"
        ),
        {"id": message_id, "event": LOOKED_UP, "code": code, "detail": json.dumps(detail), "at": at},
    )


def _do_events_come(connection: Connection, at: datetime) -> bool:
    """Whether SES's events reach us: of messages it took around ``at``, some were reported on, or there were none."""
    row = connection.execute(
        text(
            "select count(*) as taken, count(*) filter (where state <> 'accepted') as reported from ledger.messages "
            "where provider = 'ses' and accepted_at between :from and :to"
        ),
        {"from": at - NEIGHBOURS, "to": at + NEIGHBOURS},
    ).one()
    return row.taken == 0 or row.reported > 0


def _tell(connection: Connection, channel: str, ids: list[str], now: datetime) -> None:
    named = ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
    raise_alert(
        connection,
        kind="parked",
        dedupe_key=f"parked:{channel}:{min(ids)}",
        title=f"{channel}: {len(ids)} message{'s' if len(ids) > 1 else ''} may or may not have gone out",
        body=f"The provider gave no answer and nothing shows what became of: {named}. They are never sent again. "
        "Look at the provider's log, then run `leadpipe messages resolve ID --sent` or `--not-sent`.",
        now=now,
    )


def _is_sweep_due(connection: Connection, now: datetime) -> bool:
    at = connection.execute(
        text("select changed_at from ledger.watermarks where source = :source"), {"source": _SWEEP_MARK}
    ).scalar()
    # A clock that was set back must not stop the sweep.
    return at is None or not at <= now < at + SWEEP_EVERY


def _mark_sweep(connection: Connection, now: datetime) -> None:
    connection.execute(
        text(
            "insert into ledger.watermarks (source, value, changed_at) values (:source, '{}', :now) "
            "on conflict (source) do update set changed_at = excluded.changed_at"
        ),
        {"source": _SWEEP_MARK, "now": now},
    )
