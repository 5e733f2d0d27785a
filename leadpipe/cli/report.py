"""The demo's report: what happened, and whether it was right.

What lives here: gathering both sides and the report's shape. What does not: the definitions (``truth``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.cli import truth
from leadpipe.cli.truth import Believed

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.sandbox.control import SandboxControl

# What arrived so short before the end may still be on its way.
GRACE = timedelta(seconds=60)
# Sources of a suppression that are the person's own wish; a bounce is a fact about an address.
OPT_OUT_SOURCES = ("stop_keyword", "phrase", "model", "21610", "one_click", "complaint", "preference_page", "crm_flag")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Rows planned by a nightly run and messages it enqueued."""

    planned: int
    enqueued: int


@dataclass(frozen=True, kw_only=True)
class Backfilled:
    """Partitions that a backfill finished and messages enqueued from what it planned."""

    partitions: int
    enqueued: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """The demo's report.

    Attributes:
        untouched: contactable new leads without a message; they make the slowest first touch infinite (null).
        lost_by_kind: what ``lost`` adds up.
        failure: what kept the demo itself from going on; empty when nothing did.
        is_interrupted: somebody stopped the demo; it is judged by what went out alone, for nothing else was over.
        under_way: leads of the last minute that had no message yet when it was interrupted; neither lost nor untouched.
    """

    leads_new: int
    first_touch_seconds: dict[str, float | None]
    messages: dict[str, dict[str, int]]
    replies: dict[str, int]
    opt_outs: int
    handoffs: int
    reactivation: Planned
    backfill: Backfilled
    sent_after_suppression: int
    duplicates: int
    lost: int
    runs: dict[str, int]
    untouched: int
    lost_by_kind: dict[str, int]
    failure: str
    is_interrupted: bool = False
    under_way: int = 0

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    @property
    def complaints(self) -> list[str]:
        """What was not right, in words; empty when the run was good."""
        found = [self.failure] if self.failure else []
        if self.duplicates:
            found.append(f"{self.duplicates} messages were accepted twice")
        if self.sent_after_suppression:
            found.append(f"{self.sent_after_suppression} messages went out after an opt-out")
        return found if self.is_interrupted else [*found, *self._unfinished]

    @property
    def remarks(self) -> list[str]:
        """What was not over, and what was late or had failed, when somebody stopped the demo; else empty."""
        if not self.is_interrupted:
            return []
        found: list[str] = []
        if self.under_way:
            found.append(f"under way when you stopped: {_counted(self.under_way, 'lead')} of the last minute")
        found += [f"late or failed when you stopped: {words}" for words in self._unfinished]
        if self._unfinished and not self.complaints:
            found.append(
                "a demo that you stop passes all the same; one that ends by --exit-after exits with 1 for these"
            )
        return found

    @property
    def _unfinished(self) -> list[str]:
        waiting = " after a minute" if self.is_interrupted else ""
        found: list[str] = []
        if self.lost:
            kinds = ", ".join(f"{what} {count}" for what, count in self.lost_by_kind.items())
            found.append(f"{self.lost} {'without an effect' if self.is_interrupted else 'lost'}{waiting} ({kinds})")
        if failed := self.runs.get("failed"):
            found.append(f"{_counted(failed, 'Dagster run')} failed")
        if self.untouched:
            found.append(f"{_counted(self.untouched, 'contactable new lead')} without a message{waiting}")
        return found


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def build_report(
    *,
    sandbox: SandboxControl,
    engine: Engine,
    now: datetime,
    wall: datetime,
    reactivation: Planned,
    backfill: Backfilled,
    runs: dict[str, int],
    failure: str,
    is_interrupted: bool,
) -> Report:
    """Compare the sandbox's truth with the ledger as both stand ``now``; ``wall`` is that moment by the wall clock."""
    leads, messages = sandbox.leads(), sandbox.messages()
    with engine.connect() as connection:
        believed = believe(connection, now=now)
        by_channel = _messages(connection)
        replies = _replies(connection)
        opt_outs, handoffs = _opt_outs(connection), _count(connection, "select count(*) from ledger.handoffs")
    touches = truth.first_touches(leads, messages)
    # A demo that ends by itself does so long after the last arrival; one that is stopped has leads on their way.
    under_way = truth.under_way(leads, touches, believed, since=wall - GRACE) if is_interrupted else set[int]()
    settled = [lead for lead in leads if int(lead["person_id"]) not in under_way]
    lost = truth.lost(settled, sandbox.answered_webhooks(), believed)
    seconds = [value for person, value in touches.items() if person not in under_way]
    return Report(
        leads_new=sum(1 for lead in leads if lead["is_new"]),
        first_touch_seconds={
            "p50": truth.percentile(seconds, 0.50),
            "p95": truth.percentile(seconds, 0.95),
            "p99": truth.percentile(seconds, 0.99),
            "max": truth.percentile(seconds, 1.0),
        },
        messages=by_channel,
        replies=replies,
        opt_outs=opt_outs,
        handoffs=handoffs,
        reactivation=reactivation,
        backfill=backfill,
        sent_after_suppression=len(truth.sent_after_suppression(leads, messages, believed)),
        duplicates=truth.count_duplicates(messages),
        lost=sum(lost.values()),
        runs=runs,
        untouched=sum(1 for value in seconds if value == float("inf")),
        lost_by_kind=lost,
        failure=failure,
        is_interrupted=is_interrupted,
        under_way=len(under_way),
    )


def believe(connection: Connection, *, now: datetime) -> Believed:
    """What the ledger says, for comparison with the truth."""
    from sqlalchemy import text

    people = connection.execute(
        text(
            """
            select p.person_id,
              coalesce(p.outcome <> :early, false) or p.merged_into is not null or p.deleted_at is not null
              or exists (select 1 from ledger.messages m where m.person_id = p.person_id)
              or exists (select 1 from ledger.decisions d where d.person_id = p.person_id and d.outcome <> :early)
              or exists (select 1 from ledger.inquiries i where i.person_id = p.person_id and i.outcome <> :early)
              as is_accounted_for
            from ledger.people p
            """
        ),
        # The sandbox's new leads all come after the first sync: whoever counts as older was lost to a wrong calendar.
        {"early": "before_go_live"},
    )
    replies = connection.execute(
        text(
            "select c.address, case i.channel when 'email' then 'email' else 'phone' end as family, count(*) as n "
            "from ledger.inbound_messages i join ledger.contact_points c on c.id = i.contact_point_id group by 1, 2"
        )
    )
    before = now - GRACE
    unhandled = connection.execute(
        text(
            """
            select 'unread_reply' as what, count(*) as n from ledger.inbound_messages
              where read_at is null and received_at < :before
            union all
            select 'unhandled_notice', count(*) from ledger.inbox where state = 'new' and received_at < :before
            union all
            select 'unanswered_inquiry', count(*) from ledger.inquiries, ledger.controls c
              where c.key = 'go_live' and occurred_at >= (c.value ->> 'at')::timestamptz
              and answered_at is null and first_seen_at < :before
            """
        ),
        {"before": before},
    )
    events = connection.execute(text("select dedupe_key from ledger.inbox where source = 'fub'")).scalars()
    suppressed = connection.execute(
        text(
            """
            select distinct on (s.contact_point_id, s.channel) c.address, s.channel, s.action, s.recorded_at
            from ledger.suppressions s join ledger.contact_points c on c.id = s.contact_point_id
            order by s.contact_point_id, s.channel, s.at desc, s.id desc
            """
        )
    )
    return Believed(
        people={row.person_id: row.is_accounted_for for row in people},
        replies={(truth.contact_key(row.address), row.family): row.n for row in replies},
        unhandled={row.what: row.n for row in unhandled},
        handled_events=frozenset(events),
        suppressed=[(row.address, row.channel, row.recorded_at) for row in suppressed if row.action == "suppress"],
    )


def _messages(connection: Connection) -> dict[str, dict[str, int]]:
    from sqlalchemy import text

    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(
        text("select channel, state, count(*) as n from ledger.messages group by 1, 2 order by 1, 2")
    ):
        found.setdefault(row.channel, {})[row.state] = row.n
    return found


def _replies(connection: Connection) -> dict[str, int]:
    from sqlalchemy import text

    rows = connection.execute(
        text("select coalesce(intent, 'unread') as intent, count(*) as n from ledger.inbound_messages group by 1")
    )
    return {row.intent: row.n for row in rows}


def _opt_outs(connection: Connection) -> int:
    from sqlalchemy import text

    return int(
        connection.execute(
            text(
                "select count(distinct contact_point_id) from ledger.suppressions "
                "where action = 'suppress' and source = any(:sources)"
            ),
            {"sources": list(OPT_OUT_SOURCES)},
        ).scalar_one()
    )


def _count(connection: Connection, sql: str) -> int:
    from sqlalchemy import text

    return int(connection.execute(text(sql)).scalar_one())
