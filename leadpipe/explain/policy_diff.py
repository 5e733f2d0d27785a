"""``leadpipe policy diff``: which past messages another policy pack would have judged otherwise.

What lives here: every kept case judged under two packs, each as of the moment it was judged for, and the counts. What
does not: making a message again (``replay``), judging (``again``, ``policy``), printing (``cli.policy``).

The words are those that were sent, the settings those in force then; only the rules differ. The ledger is read a few
hundred messages at a time, so memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.explain.again import address_of, case_again, gone, judged_under, settings_of
from leadpipe.messaging.cases import read_consents
from leadpipe.policy.frozen import consent_ids
from leadpipe.policy.pack import PolicySettings
from leadpipe.store import inputs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.policy.case import Consent
    from leadpipe.policy.pack_file import PackFile
    from leadpipe.policy.verdict import Verdict

BATCH = 500

_MESSAGES = text(
    "select message_id::text from ledger.verdicts where judged_at >= :since group by message_id order by min(id)"
)
# An enqueued message's case stands in its evidence; a later verdict has its own.
_CASES = text(
    """
    select v.id as verdict_id, m.id::text as id, m.contact_point_id, m.channel, m.purpose, m.subject, m.body, c.kind,
      c.address, case v.moment when 'enqueue' then m.evidence -> 'policy' else v.detail -> 'case' end as kept,
      v.detail ->> 'settings' as settings_version, v.judged_at
    from ledger.verdicts v
    join ledger.messages m on m.id = v.message_id
    left join ledger.contact_points c on c.id = m.contact_point_id
    where v.message_id = any(cast(:ids as uuid[])) and v.judged_at >= :since
    order by v.id
    """
)


@dataclass(kw_only=True)
class Group:
    """Messages that fare alike; ``message_ids`` are the first of them.

    Attributes:
        was: decision and code under the first pack; empty for what could not be judged again.
        now: decision and code under the second pack, or why it could not be judged again.
    """

    was: str
    now: str
    count_messages: int = 0
    message_ids: list[str] = field(default_factory=list[str])

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {"messages": self.count_messages, "message_ids": self.message_ids}


@dataclass(kw_only=True)
class Difference:
    """What two packs say about the same past.

    Attributes:
        count_verdicts: kept cases judged under both; a message has one for each time it was judged.
        count_alike: messages of which every case got the same verdict.
        changed: by verdict under the first and under the second pack; a message judged several times may be in several.
        not_judged: by what of a case is gone.
    """

    count_messages: int = 0
    count_verdicts: int = 0
    count_alike: int = 0
    changed: dict[tuple[str, str], Group] = field(default_factory=dict[tuple[str, str], Group])
    not_judged: dict[str, Group] = field(default_factory=dict[str, Group])

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "messages": self.count_messages,
            "verdicts": self.count_verdicts,
            "alike": self.count_alike,
            "changed": [{"a": each.was, "b": each.now} | each.as_json() for each in most(self.changed)],
            "not_judged": [{"why": each.now} | each.as_json() for each in most(self.not_judged)],
        }


def most(groups: Mapping[Any, Group]) -> list[Group]:
    """The groups, the largest first."""
    return sorted(groups.values(), key=lambda group: (-group.count_messages, group.was, group.now))


def compare(
    connection: Connection,
    a: PackFile,
    b: PackFile,
    *,
    since: datetime,
    limit: int,
    progress: Callable[[int], None] | None = None,
) -> Difference:
    """Judge every case kept since ``since`` under both packs.

    Args:
        connection: to the ledger; nothing is written.
        a: the first pack.
        b: the second.
        since: only verdicts given at or after it.
        limit: message ids kept of each group.
        progress: called with the number of messages looked at so far.

    Raises:
        ConfigurationError: a pack lacks a part on a day for which a message was judged, or it cannot be read.
    """
    found = Difference()
    desk = _Desk(connection, a, b, limit)
    ids = connection.execution_options(stream_results=True, yield_per=BATCH).execute(_MESSAGES, {"since": since})
    for part in ids.scalars().partitions():
        desk.judge(connection.execute(_CASES, {"ids": list(part), "since": since}).all(), found)
        if progress is not None:
            progress(found.count_messages)
    return found


class _Desk:
    """Judges one part of the messages after the other."""

    def __init__(self, connection: Connection, a: PackFile, b: PackFile, limit: int) -> None:
        self._connection, self._a, self._b, self._limit = connection, a, b, limit
        self._settings: dict[str, PolicySettings | None] = {}

    def judge(self, rows: Sequence[Any], found: Difference) -> None:
        wanted = {number for row in rows if row.kept for number in consent_ids(row.kept)}
        consents = read_consents(self._connection, wanted) if wanted else {}
        by_message: dict[str, list[Any]] = {}
        for row in rows:
            by_message.setdefault(row.id, []).append(row)
        for message_id, cases in by_message.items():
            changed: set[tuple[str, str]] = set()
            why: set[str] = set()
            for row in cases:
                missing = "; ".join(self._missing(row, consents))
                if missing:
                    why.add(missing)
                    continue
                found.count_verdicts += 1
                was, now = self._both(row, consents)
                if was != now:
                    changed.add((was, now))
            found.count_messages += 1
            found.count_alike += not changed and not why
            for was, now in changed:
                self._count(found.changed.setdefault((was, now), Group(was=was, now=now)), message_id)
            for each in why:
                self._count(found.not_judged.setdefault(each, Group(was="", now=each)), message_id)

    def _count(self, group: Group, message_id: str) -> None:
        group.count_messages += 1
        if len(group.message_ids) < self._limit:
            group.message_ids.append(message_id)

    def _missing(self, row: Any, consents: Mapping[int, Consent]) -> Iterator[str]:
        # Without the rows: a group is a kind of loss, and its messages name the rest.
        address = address_of(row.kind, row.address)
        yield from (each.what for each in gone(row.kept, address, row.contact_point_id, consents))
        if not row.body:
            yield "the words were erased"
        if self._settings_of(row) is None:
            yield "nobody kept the settings it was judged under"

    def _both(self, row: Any, consents: Mapping[int, Consent]) -> tuple[str, str]:
        settings = self._settings_of(row)
        assert settings is not None
        case = case_again(
            row.kept,
            row,
            address=address_of(row.kind, row.address),
            consents=consents,
            words=(row.subject, row.body),
        )
        was, now = (judged_under(case, pack.on(case.now.date()), settings) for pack in (self._a, self._b))
        before, after = _said(was), _said(now)
        if before == after and was.until != now.until:
            after = f"{after}, until another moment"
        return before, after

    def _settings_of(self, row: Any) -> PolicySettings | None:
        version = row.settings_version or ""
        if version not in self._settings:
            kept = inputs.find(self._connection, "settings", version, by=row.judged_at) if version else None
            self._settings[version] = settings_of(kept.input.content) if kept is not None else None
        return self._settings[version]


def _said(verdict: Verdict) -> str:
    return f"{verdict.decision} {verdict.code}".strip()
