"""The gate: may these messages go? Facts from the ledger, judged by the one verdict function, and kept.

What lives here: judging at enqueue, at the claim and at a person's release, all by the same path, and writing the
verdicts down. What does not: reading the facts (``cases``), the rules (``policy``), what becomes of the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

import orjson

from leadpipe.messaging.cases import Subject, read_cases
from leadpipe.policy.pack import Pack, PolicySettings, load_pack
from leadpipe.policy.verdict import Verdict, judge_many

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection

    from leadpipe.policy.case import Case
    from leadpipe.settings import Settings

__all__ = ["Subject", "judge", "judge_cases", "record"]


def judge(connection: Connection, subjects: Sequence[Subject], *, now: datetime, settings: Settings) -> list[Verdict]:
    """One verdict per subject, in order, from what this transaction sees.

    Raises:
        ConfigurationError: no policy pack covers the day; without rules nothing is judged (C45).
    """
    return judge_cases(read_cases(connection, subjects, now=now, settings=settings), settings=settings)


def judge_cases(cases: Sequence[Case], *, settings: Settings) -> list[Verdict]:
    """One verdict per case, each under the pack of the day it is judged for."""
    from leadpipe.outreach.offers import load_offers

    policy = PolicySettings.of(settings, approved_offers=tuple(offer.text for offer in load_offers()))
    packs: dict[date, Pack] = {}
    verdicts: list[Verdict] = []
    start = 0
    for end in range(1, len(cases) + 1):
        day = cases[start].now.date()
        if end == len(cases) or cases[end].now.date() != day:
            pack = packs.setdefault(day, load_pack(day))
            verdicts += judge_many(cases[start:end], pack=pack, settings=policy)
            start = end
    return verdicts


def record(
    connection: Connection, subjects: Sequence[Subject], verdicts: Sequence[Verdict], *, moment: str, now: datetime
) -> None:
    """Keep the verdicts with every rule's own finding and the evidence; ``moment`` is enqueue, claim or release."""
    write_rows(
        connection,
        "verdicts (message_id, moment, decision, code, rule, until_at, pack_version, detail, judged_at)",
        (
            (s.message_id, moment, v.decision, v.code or None, v.rule or None, v.until, v.pack_version, detail(v), now)
            for s, v in zip(subjects, verdicts, strict=True)
        ),
    )


def detail(verdict: Verdict) -> str:
    """A verdict's findings and evidence as JSON."""
    found = {"findings": [finding.as_json() for finding in verdict.findings], "evidence": verdict.evidence()}
    return orjson.dumps(found).decode()


def write_rows(connection: Connection, target: str, rows: Iterable[Sequence[Any]]) -> None:
    """COPY rows into ``ledger.<table> (<columns>)``: for one row as cheap as an insert, for many far cheaper."""
    cursor = cast("Cursor[Any]", connection.connection.cursor())
    with cursor.copy(f"copy ledger.{target} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)
