"""The demo's picture in the terminal: what came in, what went out, what is waiting, where to look.

What lives here: one snapshot of the running system and its drawing. What does not: the final report (``report``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.cli.truth import percentile

if TYPE_CHECKING:
    from rich.console import RenderableType
    from sqlalchemy import Connection

CHANNELS = ("email", "sms", "whatsapp")
# The order of a message's life (design section 5); states without a message are not shown.
STATES = (
    "queued", "held", "review", "sending", "accepted", "sent", "delivered", "undelivered", "bounced", "complained",
    "refused", "unknown", "parked", "blocked", "cancelled", "expired",
)  # fmt: skip
# A first touch of more than an hour is the calendar's jump, not a wait.
JUMP_SECONDS = 3600


@dataclass(kw_only=True)
class Snapshot:
    """The system at one moment; counts only."""

    at: datetime
    leads_in: int = 0
    people: int = 0
    first_touch_seconds: list[float] = field(default_factory=list[float])
    messages: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    replies: dict[str, int] = field(default_factory=dict[str, int])
    handoffs_open: int = 0
    handoffs: int = 0
    opt_outs: int = 0
    kept_aside: int = 0
    alerts: list[str] = field(default_factory=list[str])
    runs: dict[str, int] = field(default_factory=dict[str, int])
    restarts: int = 0

    @property
    def line(self) -> str:
        """The snapshot in one line, for a terminal that is none."""
        gone = sum(n for (_, state), n in self.messages.items() if state in {"accepted", "sent", "delivered"})
        p50, p99 = percentile(self.first_touch_seconds, 0.5), percentile(self.first_touch_seconds, 0.99)
        return (
            f"{self.at:%a %H:%M:%S}Z  leads {self.leads_in}  first touch p50 {_seconds(p50)} p99 {_seconds(p99)}  "
            f"sent {gone}  replies {sum(self.replies.values())}  opt-outs {self.opt_outs}  hand-offs {self.handoffs}  "
            f"runs {self.runs.get('ok', 0)} ok {self.runs.get('failed', 0)} failed"
        )


def look(connection: Connection, *, at: datetime) -> Snapshot:
    """The ledger's side of a snapshot."""
    from sqlalchemy import text

    def pairs(sql: str) -> Iterable[Any]:
        return connection.execute(text(sql)).all()

    def number(sql: str) -> int:
        return int(connection.execute(text(sql)).scalar_one())

    touches = connection.execute(
        text(
            "select extract(epoch from min(m.accepted_at) - max(p.crm_created_at))::float as seconds "
            "from ledger.people p join ledger.messages m on m.person_id = p.person_id "
            "where p.is_new_lead and m.plan = 'new_lead' and m.accepted_at is not null group by p.person_id"
        )
    ).scalars()
    return Snapshot(
        at=at,
        people=number("select count(*) from ledger.people"),
        first_touch_seconds=[seconds for seconds in touches if 0 <= seconds < JUMP_SECONDS],
        messages={
            (row.channel, row.state): row.n
            for row in pairs("select channel, state, count(*) as n from ledger.messages group by 1, 2")
        },
        replies={
            row.intent: row.n
            for row in pairs(
                "select coalesce(intent, 'unread') as intent, count(*) as n from ledger.inbound_messages "
                "group by 1 order by 2 desc"
            )
        },
        handoffs_open=number("select count(*) from ledger.handoffs where closed_at is null"),
        handoffs=number("select count(*) from ledger.handoffs"),
        # A number that changed hands refused nothing.
        opt_outs=number(
            "select count(distinct contact_point_id) from ledger.suppressions "
            "where action = 'suppress' and source <> 'reassigned'"
        ),
        kept_aside=number("select count(*) from ledger.quarantine"),
        alerts=[row.title for row in pairs("select title from ledger.alerts order by id desc limit 3")],
    )


def draw(snapshot: Snapshot, *, links: Mapping[str, str], told: Iterable[str], clock: str) -> RenderableType:
    """The whole picture."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    seconds = snapshot.first_touch_seconds
    figures = Text.assemble(
        ("Leads in          ", "bold"), f"{snapshot.leads_in} new, {snapshot.people} people in all\n",
        ("First touch       ", "bold"),
        (f"p50 {_seconds(percentile(seconds, 0.5))}  p95 {_seconds(percentile(seconds, 0.95))}  "
         f"p99 {_seconds(percentile(seconds, 0.99))}\n", "green"),
        ("Hand-offs         ", "bold"), f"{snapshot.handoffs} ({snapshot.handoffs_open} open)\n",
        ("Opted out         ", "bold"), f"{snapshot.opt_outs} addresses\n",
        ("Kept aside        ", "bold"), f"{snapshot.kept_aside} unreadable records\n",
        ("Dagster runs      ", "bold"),
        f"{snapshot.runs.get('ok', 0)} ok, {snapshot.runs.get('running', 0)} under way, ",
        (f"{snapshot.runs.get('failed', 0)} failed", "red" if snapshot.runs.get("failed") else ""),
        f"\nRestarts          {snapshot.restarts}",
    )  # fmt: skip
    where = Text("\n".join(f"{name:<14}{url}" for name, url in links.items()))
    return Group(
        Panel(figures, title=f"leadpipe demo, simulated {snapshot.at:%A %Y-%m-%d %H:%M:%S} UTC", subtitle=clock),
        Columns([_message_table(snapshot), _reply_table(snapshot)]),
        Panel(Text("\n".join(told)), title="What happened"),
        Panel(Text("\n".join(snapshot.alerts) or "none"), title="Alerts"),
        Panel(where, title="Look for yourself"),
    )


def _message_table(snapshot: Snapshot) -> RenderableType:
    from rich.table import Table

    table = Table(title="Messages by channel and state")
    table.add_column("state")
    for channel in CHANNELS:
        table.add_column(channel, justify="right")
    for state in STATES:
        row = [snapshot.messages.get((channel, state), 0) for channel in CHANNELS]
        if any(row):
            table.add_row(state, *(str(n) if n else "" for n in row))
    return table


def _reply_table(snapshot: Snapshot) -> RenderableType:
    from rich.table import Table

    table = Table(title="Replies by intent")
    table.add_column("intent")
    table.add_column("replies", justify="right")
    for intent, count in snapshot.replies.items():
        table.add_row(intent, str(count))
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
