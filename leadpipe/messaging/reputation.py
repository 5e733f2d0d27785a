"""How mailbox providers will see us: the share of our email that comes back, by plan and by sending domain.

What lives here: counting complaints and hard bounces of the last days, and the pause that follows. What does not: what
a pause holds (``email_pauses``), the single address (``callbacks``), the limits (part ``email_rates`` of the pack).

A share of a handful says nothing, so a limit counts only once enough was sent and enough came back: the pack says how
much, and ``docs/sending.md`` what that means. Counted are the emails that SES took within the window, whenever the
report about them came. One From address, so one domain: a new one in the settings starts with no pause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from leadpipe.errors import ConfigurationError
from leadpipe.messaging import email_pauses
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.email_pauses import ALERT, HARD, LEVELS, STOP, Rate, Rates
from leadpipe.policy.pack import EmailRates
from leadpipe.policy.pack_file import load_pack

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings

_COUNT = text(
    """
    select m.plan, count(*) as sent, count(*) filter (where m.state = 'complained') as complaints,
      count(*) filter (where m.state = 'bounced') as bounces
    from ledger.attempts a join ledger.messages m on m.id = a.message_id
    where a.started_at > :since and a.outcome = 'accepted' and m.channel = 'email'
    group by m.plan
    """
)


class Counted(NamedTuple):
    """Emails taken by the provider, and of them those reported as spam and those that came back for good."""

    sent: int = 0
    complaints: int = 0
    bounces: int = 0


def sending_domain(settings: Settings) -> str:
    """The domain of our From address; empty when there is none."""
    return parseaddr(settings.email_from)[1].partition("@")[2].lower()


def look(engine: Engine, settings: Settings, *, now: datetime) -> list[Rate]:
    """Count, pause what is over a limit and tell people once; returns what reached a higher level now.

    Raises:
        ConfigurationError: the policy pack of the day names no limits.
    """
    limits = _limits(now)
    with engine.begin() as connection:
        rates = email_pauses.locked(connection, now)
        risen: list[Rate] = []
        for scope, counted in _counts(connection, rates, sending_domain(settings), limits, now):
            before = rates.get(scope, Rate(scope=scope))
            level, why = judge(counted, limits)
            if level and not settings.email_pauses:
                level = ALERT
            if LEVELS.index(level) > LEVELS.index(before.level):
                back = counted.complaints if why == "complaints" else counted.bounces
                rates[scope] = replace(
                    before, level=level, why=why, since_at=now, count_back=back, count_sent=counted.sent
                )
                risen.append(rates[scope])
            elif not level and before.level == ALERT:
                rates[scope] = Rate(scope=scope, resumed_at=before.resumed_at)
        if risen:
            _tell(connection, risen, limits, now)
        email_pauses.put(connection, _still_said(rates, now - timedelta(days=limits.days)), now=now)
    return risen


def judge(counted: Counted, limits: EmailRates) -> tuple[str, str]:
    """Level and reason of one count; empty while nothing is to be said."""
    if counted.sent < limits.min_sent:
        return "", ""
    if counted.complaints >= limits.min_complaints:
        share = counted.complaints / counted.sent
        for level, limit in ((HARD, limits.complaints_hard), (STOP, limits.complaints_stop)):
            if share >= limit:
                return level, "complaints"
    if counted.bounces >= limits.min_bounces and counted.bounces / counted.sent >= limits.bounces_stop:
        return STOP, "bounces"
    if counted.complaints >= limits.min_complaints and counted.complaints / counted.sent >= limits.complaints_alert:
        return ALERT, "complaints"
    return "", ""


def _limits(now: datetime) -> EmailRates:
    limits = load_pack(now.date()).email_rates
    if limits is None:
        raise ConfigurationError(f"the policy pack of {now:%Y-%m-%d} has no part email_rates; add it")
    return limits


def _counts(
    connection: Connection, rates: Rates, domain: str, limits: EmailRates, now: datetime
) -> Iterator[tuple[str, Counted]]:
    """Counts by scope; one that a person resumed counts from then on."""
    begin = now - timedelta(days=limits.days)
    by_plan = _count(connection, begin)
    domain_scope = f"domain:{domain}"
    plans = {f"plan:{plan}" for plan in by_plan} | {scope for scope in rates if scope.startswith("plan:")}
    for scope in (*sorted(plans), domain_scope):
        kept = rates.get(scope)
        resumed_at = kept.resumed_at if kept is not None else None
        found = by_plan if resumed_at is None or resumed_at <= begin else _count(connection, resumed_at)
        if scope != domain_scope:
            yield scope, found.get(scope.partition(":")[2], Counted())
        elif domain:
            yield scope, Counted(*(sum(each) for each in zip(*found.values(), strict=True))) if found else Counted()


def _count(connection: Connection, since: datetime) -> dict[str, Counted]:
    rows = connection.execute(_COUNT, {"since": since})
    return {row.plan: Counted(row.sent, row.complaints, row.bounces) for row in rows}


def _still_said(rates: Rates, begin: datetime) -> Rates:
    """Without the memory of a resume that the window has passed."""
    return {
        scope: replace(rate, resumed_at=None) if rate.resumed_at and rate.resumed_at <= begin else rate
        for scope, rate in rates.items()
    }


def _tell(connection: Connection, risen: list[Rate], limits: EmailRates, now: datetime) -> None:
    for rate in risen:
        kind, _, name = rate.scope.partition(":")
        share = f"{rate.count_back} of {rate.count_sent} emails of {limits.days} days ({rate.share:.2%})"
        if rate.level == ALERT:
            title = f"Email of {kind} {name}: {rate.why} near or over the limit"
            body = f"{share}; {_limit_words(rate, limits)}. Look at whom it is sent to."
        else:
            limit = _limit_words(rate, limits)
            title = f"Marketing email of {kind} {name} is paused: too many {rate.why}"
            body = (
                f"{share}; {limit}. What people ask for is still answered. Find out why, then `leadpipe sending resume "
                f"--{kind} {name}`; `leadpipe sending status` shows it."
            )
        raise_alert(
            connection,
            kind="email_rate",
            dedupe_key=f"email_rate:{rate.scope}:{rate.level}:{now.isoformat()}",
            title=title,
            body=body,
            now=now,
        )


def _limit_words(rate: Rate, limits: EmailRates) -> str:
    if rate.why == "bounces":
        return f"the limit is {limits.bounces_stop:.1%}"
    if rate.level == HARD:
        return f"mailbox providers reject or hide everything from {limits.complaints_hard:.2%} on"
    return f"the limit is {limits.complaints_stop:.2%}, and providers' own {limits.complaints_hard:.2%}"
