"""What a simulation found, read from the copy: sends, exclusions, segments, cost, replies to expect.

What lives here: the queries and the result. What does not: playing the days (``days``), printing (``cli.simulate``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.store.dbt import PROJECT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.simulation.days import Played

# Replies of so long ago still say what to expect; fewer messages than this say nothing.
RATE_DAYS = 180
ENOUGH = 20
SHIFT_DAYS = 28
_SENT = text(
    """
    select plan, step, occurrence, channel, person_id, segments, accepted_at from ledger.messages
    where accepted_at > :begin order by accepted_at, person_id, plan
    """
)
_LEFT_OUT = text(
    "select plan, outcome, coalesce(code, '') as code, count(distinct person_id) as people from ledger.decisions "
    "where message_id is null and at > :begin group by 1, 2, 3"
)
_NOT_SENT = text(
    """
    select plan, state, coalesce(code, '') as code, count(distinct person_id) as people
    from ledger.messages
    where accepted_at is null and (created_at > :begin or changed_at > :begin) group by 1, 2, 3
    """
)
_RATES = text(
    """
    select m.plan, m.step, m.channel, count(*) as sent,
      count(*) filter (where exists (select 1 from ledger.inbound_messages i
        where i.in_reply_to = m.id and not i.is_auto_reply)) as replied
    from ledger.messages m where m.accepted_at between :since and :begin group by 1, 2, 3
    """
)
# Agents at work by the hour: who did something in the CRM in that hour, on a mean day on which anybody did.
_SHIFTS = text(
    """
    with acts as (
      select distinct user_id, cast(at at time zone :zone as date) as day,
        cast(extract(hour from at at time zone :zone) as int) as hour
      from ledger.human_actions where user_id is not null and at between :since and :begin
    )
    select hour, count(*) / (select count(distinct day) from acts)::float as agents from acts group by hour
    """
)


@dataclass(frozen=True, kw_only=True)
class Send:
    """One simulated message that left; ``hour`` is the team's own."""

    plan: str
    step: str
    occurrence: int
    channel: str
    person_id: int
    segments: int
    hour: datetime

    @property
    def key(self) -> tuple[int, str, str, int, str]:
        """What makes it the same message as an actual one."""
        return (self.person_id, self.plan, self.step, self.occurrence, self.channel)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What one plan would do.

    Attributes:
        sends: messages of the plan that left, oldest first.
        excluded: people that got nothing, by reason (``outcome:code``); a night counts a person once.
        expected_replies: None where too few messages went before to say.
    """

    plan: str
    begin: datetime
    end: datetime
    sends: tuple[Send, ...]
    count_others: int
    excluded: Mapping[str, int]
    not_sent: Mapping[str, int]
    cost_usd: float
    caps_hit: Mapping[str, datetime]
    expected_replies: float | None
    agents_by_hour: Mapping[int, float]
    notes: tuple[str, ...] = ()

    @property
    def segments(self) -> int:
        """SMS segments."""
        return sum(send.segments for send in self.sends if send.channel == "sms")

    def by_hour(self) -> list[dict[str, Any]]:
        """Sends an hour and channel, with the agents who are usually at work then."""
        counts = Counter((send.hour, send.channel) for send in self.sends)
        return [
            {
                "hour": hour.isoformat(timespec="minutes"),
                "channel": channel,
                "count": count,
                "agents_on_shift": round(self.agents_by_hour.get(hour.hour, 0.0), 1),
            }
            for (hour, channel), count in sorted(counts.items())
        ]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "plan": self.plan,
            "as_of": self.begin.isoformat(),
            "until": self.end.isoformat(),
            "count_sends": len(self.sends),
            "count_people": len({send.person_id for send in self.sends}),
            "count_sends_of_other_plans": self.count_others,
            "sends": self.by_hour(),
            "sends_by_channel": dict(Counter(send.channel for send in self.sends)),
            "sends_by_step": dict(Counter(send.step for send in self.sends)),
            "excluded": dict(self.excluded),
            "not_sent": dict(self.not_sent),
            "segments": self.segments,
            "cost_usd": round(self.cost_usd, 4),
            "caps_hit": {name: at.isoformat() for name, at in self.caps_hit.items()},
            "expected_replies": None if self.expected_replies is None else round(self.expected_replies, 1),
            "notes": list(self.notes),
        }


def read(
    connection: Connection,
    plan: str,
    *,
    begin: datetime,
    end: datetime,
    zone: str,
    played: Played,
    notes: Sequence[str] = (),
) -> Simulated:
    """What the copy holds after the days were played through."""
    sent = [_send(row, zone) for row in connection.execute(_SENT, {"begin": begin})]
    own = tuple(send for send in sent if send.plan == plan)
    caps_of_others = {name for name in played.caps_hit if ":" in name and not name.endswith(f":{plan}")}
    return Simulated(
        plan=plan,
        begin=begin,
        end=end,
        sends=own,
        count_others=len(sent) - len(own),
        excluded=_counted(connection.execute(_LEFT_OUT, {"begin": begin}), plan, "outcome"),
        not_sent=_counted(connection.execute(_NOT_SENT, {"begin": begin}), plan, "state"),
        cost_usd=sum(_cost(send) for send in own),
        caps_hit={name: at for name, at in played.caps_hit.items() if name not in caps_of_others},
        expected_replies=_replies(connection, own, begin),
        agents_by_hour={
            row.hour: row.agents
            for row in connection.execute(
                _SHIFTS, {"zone": zone, "since": begin - timedelta(days=SHIFT_DAYS), "begin": begin}
            )
        },
        notes=tuple(notes),
    )


def _send(row: Any, zone: str) -> Send:
    left_at = (row.accepted_at - timedelta(milliseconds=1)).astimezone(ZoneInfo(zone))
    return Send(
        plan=row.plan,
        step=row.step,
        occurrence=row.occurrence,
        channel=row.channel,
        person_id=row.person_id,
        segments=row.segments,
        hour=left_at.replace(minute=0, second=0, microsecond=0),
    )


def _counted(rows: Any, plan: str, name: str) -> dict[str, int]:
    found = {f"{getattr(row, name)}:{row.code}".rstrip(":"): int(row.people) for row in rows if row.plan == plan}
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


@lru_cache(maxsize=1)
def prices() -> Mapping[str, float]:
    """What one message costs, US dollars: the marts' own prices (``dbt/dbt_project.yml``)."""
    import yaml

    return yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]


def _cost(send: Send) -> float:
    if send.channel == "sms":
        return max(send.segments, 1) * prices()["sms_segment_usd"]
    return prices()["email_usd" if send.channel == "email" else "whatsapp_usd"]


def _replies(connection: Connection, sends: Sequence[Send], begin: datetime) -> float | None:
    """By the rate of the step itself where enough went before, else of its channel; None when neither says."""
    rows = connection.execute(_RATES, {"since": begin - timedelta(days=RATE_DAYS), "begin": begin}).all()
    by_step: dict[tuple[str, ...], tuple[int, int]] = {}
    by_channel: Counter[str] = Counter()
    replied_by_channel: Counter[str] = Counter()
    for row in rows:
        by_step[row.plan, row.step, row.channel] = (row.sent, row.replied)
        by_channel[row.channel] += row.sent
        replied_by_channel[row.channel] += row.replied
    expected = 0.0
    for send in sends:
        count, replied = by_step.get((send.plan, send.step, send.channel), (0, 0))
        if count < ENOUGH:
            count, replied = by_channel[send.channel], replied_by_channel[send.channel]
        if count < ENOUGH:
            return None
        expected += replied / count
    return expected
