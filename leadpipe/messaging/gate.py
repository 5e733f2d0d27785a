"""The gate: may these messages go? Facts from the ledger, judged by the one verdict function, and kept.

What lives here: judging at enqueue, at the claim and at a person's release, all by the same path, and writing the
verdicts down. What does not: reading the facts (``cases``), the rules (``policy``), what becomes of the message.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import orjson

from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.cases import Subject, read_cases
from leadpipe.messaging.protocol import State
from leadpipe.policy.frozen import frozen
from leadpipe.policy.pack import Pack, PolicySettings
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.verdict import QUIET_HOURS, Verdict, is_unjudgeable, judge_many, unjudgeable
from leadpipe.store import inputs

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection

    from leadpipe.policy.case import Case
    from leadpipe.settings import Settings

AFTER_OPENING = timedelta(minutes=10)

__all__ = ["Subject", "judge", "judge_cases", "record", "state_for"]


def judge(connection: Connection, subjects: Sequence[Subject], *, now: datetime, settings: Settings) -> list[Verdict]:
    """One verdict per subject, in order, from what this transaction sees.

    Raises:
        ConfigurationError: no policy pack covers the day; without rules nothing is judged (C45).
    """
    return judge_cases(read_cases(connection, subjects, now=now, settings=settings), settings=settings)


def judge_cases(cases: Sequence[Case], *, settings: Settings) -> list[Verdict]:
    """One verdict per case, each under the pack of the day it is judged for."""
    rules: dict[date, tuple[Pack, PolicySettings]] = {}
    verdicts: list[Verdict] = []
    start = 0
    for end in range(1, len(cases) + 1):
        day = cases[start].now.date()
        if end == len(cases) or cases[end].now.date() != day:
            if day not in rules:
                rules[day] = load_pack(day), policy_of(settings, day)
            verdicts += _judged(cases[start:end], *rules[day])
            start = end
    return verdicts


def policy_of(settings: Settings, day: date) -> PolicySettings:
    """What of the settings verdicts depend on, with the offers that counsel approved and that stand on this day."""
    from leadpipe.outreach.offers import load_offers

    standing = tuple(offer.text for offer in load_offers() if offer.starts_on <= day <= offer.ends_on)
    return PolicySettings.of(settings, approved_offers=standing)


def _judged(cases: Sequence[Case], pack: Pack, policy: PolicySettings) -> list[Verdict]:
    """The verdicts; a case that no rule can read is blocked by itself, so that it takes no other along (C45)."""
    try:
        return judge_many(cases, pack=pack, settings=policy)
    except Exception as error:
        if len(cases) == 1:
            return [unjudgeable(cases[0], pack, type(error).__name__)]
    return [verdict for case in cases for verdict in _judged([case], pack, policy)]


def state_for(
    verdict: Verdict, message_id: str, *, is_released: bool = False
) -> tuple[State, str | None, datetime | None]:
    """The state a verdict asks for, its reason, and for ``held`` until when.

    A person's release answers what was put to a person (REVIEW); every other finding still counts. What waits for the
    opening hour is spread over its first minutes (C14), by the message's id, so that a replay finds the same moment.
    """
    findings = [f for f in verdict.findings if f.decision != "SKIPPED"]
    if is_released:
        findings = [f for f in findings if f.decision != "REVIEW"]
    if not findings:
        return State.QUEUED, None, None
    first = findings[0]
    if first.decision == "REVIEW":
        return State.REVIEW, first.code, None
    if any(f.decision == "BLOCK" for f in findings):
        return State.BLOCKED, next(f.code for f in findings if f.decision == "BLOCK"), None
    untils = [f.until for f in findings if f.until is not None]
    if not untils:
        return State.BLOCKED, first.code, None
    spread = AFTER_OPENING * random.Random(message_id).random()  # noqa: S311 - spreads messages, guards nothing
    return State.HELD, first.code, max(untils) + (spread if first.code in QUIET_HOURS else timedelta(0))


def record(
    connection: Connection,
    subjects: Sequence[Subject],
    verdicts: Sequence[Verdict],
    *,
    moment: str,
    now: datetime,
    settings: Settings,
) -> None:
    """Keep the verdicts with every rule's own finding and the evidence; ``moment`` is enqueue, claim or release.

    Rules and settings are kept as texts, once each, and the case with its verdict (at enqueue it stands in the
    message's evidence), so that the same judgement can be made again.
    """
    days = {verdict.now.date() for verdict in verdicts}
    policies = {day: policy_of(settings, day) for day in days}
    texts = {load_pack(day).as_input() for day in days} | {policy.as_input() for policy in policies.values()}
    if texts:
        inputs.keep(connection, texts, now=now)
    versions = {day: policy.version for day, policy in policies.items()}
    write_rows(
        connection,
        "verdicts (message_id, moment, decision, code, rule, until_at, pack_version, detail, judged_at)",
        (
            (
                s.message_id,
                moment,
                v.decision,
                v.code or None,
                v.rule or None,
                v.until,
                v.pack_version,
                detail(v, settings=versions[v.now.date()], **({} if moment == "enqueue" else {"case": frozen(v.case)})),
                now,
            )
            for s, v in zip(subjects, verdicts, strict=True)
        ),
    )
    told: set[tuple[str, str]] = set()
    for subject, verdict in zip(subjects, verdicts, strict=True):
        if is_unjudgeable(verdict):
            _tell(connection, subject, verdict, now)
        step = subject.plan, subject.step
        # A template that steers is blocked for everybody: once is enough.
        if step not in told and any(finding.code == "fair_housing" for finding in verdict.findings):
            told.add(step)
            _tell_of_words(connection, subject, now)


def _tell(connection: Connection, subject: Subject, verdict: Verdict, now: datetime) -> None:
    raise_alert(
        connection,
        kind="unjudgeable",
        dedupe_key=f"unjudgeable:{verdict.code}:{now:%Y-%m-%d}",
        title="A message could not be judged and was blocked",
        body=f"Message {subject.message_id} ({verdict.code}), and maybe others today: see "
        "`leadpipe messages list --state blocked`. This is a fault of leadpipe or of the policy pack.",
        now=now,
    )


def _tell_of_words(connection: Connection, subject: Subject, now: datetime) -> None:
    raise_alert(
        connection,
        kind="fair_housing",
        dedupe_key=f"fair_housing:{subject.plan}:{subject.step}:{now:%Y-%m-%d}",
        title="Words that may prefer or steer were blocked",
        body=f"Plan {subject.plan}, step {subject.step}: message {subject.message_id}, and maybe others today. Read it "
        f"with `leadpipe explain {subject.message_id}`; write the lead yourself, or change the template "
        "(docs/policy.md, Words).",
        now=now,
        person_id=subject.person_id,
    )


def detail(verdict: Verdict, **more: Any) -> str:
    """A verdict's findings and evidence as JSON, and what else is kept beside them."""
    found = {"findings": [finding.as_json() for finding in verdict.findings], "evidence": verdict.evidence()}
    return orjson.dumps({**found, **more}, option=orjson.OPT_UTC_Z).decode()


def write_rows(connection: Connection, target: str, rows: Iterable[Sequence[Any]]) -> None:
    """COPY rows into ``ledger.<table> (<columns>)``: for one row as cheap as an insert, for many far cheaper."""
    cursor = cast("Cursor[Any]", connection.connection.cursor())
    with cursor.copy(f"copy ledger.{target} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)
