"""From a batch of CRM notifications to stored people, inquiries and human actions.

What lives here: reading what the notices name, fetching it, landing it and writing the ledger. What does not: deciding
whom to answer (``outreach.first_touch``). A notice is a hint "refetch these ids"; one fetch serves every notice that
names the same record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text

from leadpipe.crm import landing, optouts, tables, verbal
from leadpipe.crm.client import rows_of
from leadpipe.crm.erased import erased_ids, without_erased
from leadpipe.crm.event_names import DOCUMENTED
from leadpipe.crm.human_actions import read_email_act, read_human_action, store_human_actions
from leadpipe.crm.inbox import Notice
from leadpipe.crm.inquiries import Inquiry, read_inquiry, store_inquiries
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.crm.values import canonical
from leadpipe.errors import BadRecord, Rejected
from leadpipe.store import quarantine
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
T = TypeVar("T")
_MAX_ID = 2**63 - 1
_MAX_DIGITS = 19
# How leadpipe's own writes are journalled, by collection.
_OWN_KINDS = {"notes": ["note"], "calls": [], "textMessages": ["text_log"]}
# Older emails of the team change nothing any more; a first read brings years of them.
RECENT = timedelta(days=7)
# Long enough for most; whoever takes longer is found by the next poll.
NOT_READY_SECONDS = 1.0
ACTIVITIES = {"notes": tables.NOTES, "calls": tables.CALLS, "textMessages": tables.TEXT_MESSAGES}


@dataclass(kw_only=True)
class Wanted:
    """Record ids that a batch of notices names, by what to do with them."""

    people: set[int] = field(default_factory=set[int])
    deleted_people: set[int] = field(default_factory=set[int])
    events: set[int] = field(default_factory=set[int])
    activities: dict[str, set[int]] = field(default_factory=lambda: {name: set[int]() for name in ACTIVITIES})
    emails: set[int] = field(default_factory=set[int])
    has_unsubscribes: bool = False
    unread: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Notices that are to be kept aside for a person: (inbox id, reason)."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What a batch brought: the people to consider for a first touch and those a human just spoke to."""

    person_ids: tuple[int, ...]
    new_ids: tuple[int, ...]
    changed_ids: tuple[int, ...] = ()
    inquiries: tuple[Inquiry, ...] = ()
    new_inquiry_ids: tuple[int, ...] = ()
    human_ids: tuple[int, ...] = ()
    count_by_table: dict[str, int] = field(default_factory=dict[str, int])
    count_set_aside: int = 0


def read_notices(notices: Sequence[Notice]) -> Wanted:
    """The ids that the notices name, as numbers or digits, in a body that may be a list of one (sheet 9.15).

    A notice of an unknown event, or with anything that is no id among its ids, is ``unread``; the ids it does name are
    wanted all the same.
    """
    wanted = Wanted()
    for notice in notices:
        if notice.kind not in DOCUMENTED:
            wanted.unread.append((notice.id, "unknown event: this version does not know what it asks for"))
            continue
        try:
            body = json.loads(notice.body)
            body = body[0] if isinstance(body, list) else body
            named = body["resourceIds"]
        except (ValueError, RecursionError, KeyError, TypeError, IndexError):
            named = None
        if not isinstance(named, list) or not named:
            wanted.unread.append((notice.id, "names no records"))
            continue
        ids = {int(value) for value in named if _is_id(value)}
        if not_ids := sum(not _is_id(value) for value in named):
            wanted.unread.append((notice.id, f"{not_ids} of its {len(named)} ids are none"))
        if ids:
            _sort(notice.kind, ids, wanted)
    return wanted


def _is_id(value: object) -> bool:
    """Whether this can be the id of a record: a positive number that fits a bigint, or its digits."""
    if isinstance(value, str):
        return len(value) <= _MAX_DIGITS and value.isascii() and value.isdigit() and 0 < int(value) <= _MAX_ID
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_ID


def _sort(kind: str, ids: set[int], wanted: Wanted) -> None:
    if kind == "peopleDeleted":
        wanted.deleted_people |= ids
    elif kind.startswith("people") and not kind.startswith("peopleRelationship"):  # those ids name no person
        wanted.people |= ids
    elif kind == "eventsCreated":
        wanted.events |= ids
    elif kind == "emEventsUnsubscribed":
        wanted.has_unsubscribes = True
    elif kind == "emailsCreated":
        wanted.emails |= ids
    else:
        for name in ACTIVITIES:
            if kind.startswith(name) and not kind.endswith("Deleted"):
                wanted.activities[name] |= ids


def take_in(
    wanted: Wanted,
    *,
    crm: FubClient,
    lake: Lake,
    engine: Engine,
    now: datetime,
    landed_by: str = "webhook",
    settings: Settings | None = None,
) -> Intake:
    """Fetch what is wanted, land it and store it; what is gone is tombstoned once its own GET says so.

    Args:
        wanted: what the notices name.
        crm: the account.
        lake: where payloads land.
        engine: the ledger.
        now: when.
        landed_by: how the records came to our knowledge.
        settings: the team's stop stages, so that a move into one ends plans at once; None leaves that to the next step.

    Raises:
        TransientError: the CRM or a store does not answer; nothing is marked as done, the notices wait.
    """
    event_rows = crm.events(wanted.events)
    activity_rows = {
        name: _activity_rows(crm, name, _not_ours(engine, name, ids)) for name, ids in wanted.activities.items() if ids
    }
    rows = [*event_rows, *(row for found in activity_rows.values() for row in found), *_email_rows(crm, wanted.emails)]
    people_ids = wanted.people | {int(row["personId"]) for row in rows if _is_person_id(row.get("personId"))}
    people_rows = _people_rows(crm, people_ids)
    taken = store(
        people_rows,
        event_rows,
        activity_rows,
        lake=lake,
        engine=engine,
        now=now,
        landed_by=landed_by,
        settings=settings,
    )
    if wanted.deleted_people:
        from leadpipe.crm.sweep import confirm_gone

        confirm_gone(wanted.deleted_people, crm=crm, lake=lake, engine=engine, now=now, landed_by=landed_by)
    if wanted.has_unsubscribes:
        _store_unsubscribes(crm, engine, now)
    return taken


def _people_rows(crm: FubClient, ids: set[int]) -> list[Row]:
    """The people; those not there are asked for once more: distribution must assign a new lead first (sheet 5)."""
    rows = crm.people(sorted(ids)) if ids else []
    missing = ids - {int(row["id"]) for row in rows}
    if missing:
        time.sleep(NOT_READY_SECONDS)
        rows += crm.people(sorted(missing))
    return rows


def _activity_rows(crm: FubClient, name: str, ids: set[int]) -> list[Row]:
    if name == "textMessages":  # listed by person only
        return [row for record_id in sorted(ids) if (row := crm.find(name, record_id)) is not None]
    return crm.recent(name, ids)


def _not_ours(engine: Engine, name: str, ids: set[int]) -> set[int]:
    """Without the records that leadpipe wrote itself: they come back as notices, and notes allow one read a second."""
    with engine.connect() as connection:
        ours = connection.execute(
            text("select crm_id from ledger.writebacks where kind = any(:kinds) and crm_id = any(:ids)"),
            {"kinds": _OWN_KINDS[name], "ids": [str(each) for each in ids]},
        ).scalars()
        return ids - {int(crm_id) for crm_id in ours if crm_id.isdigit()}


def _email_rows(crm: FubClient, ids: set[int]) -> list[Row]:
    """Whose emails these are. The list is undocumented (sheet 3.4): where it refuses, the emails stay unknown."""
    if not ids:
        return []
    try:
        return rows_of(crm.get("emails", {"id": ",".join(map(str, sorted(ids))), "limit": 100}), "emails")
    except Rejected:
        return []


def _is_person_id(value: object) -> bool:
    return str(value).isdigit() and int(str(value)) > 0


def _store_unsubscribes(crm: FubClient, engine: Engine, now: datetime) -> None:
    """The newest marketing-mail opt-outs: their ids name no person, and only the list is documented (sheet 3.4)."""
    for kind in optouts.KINDS:
        rows = next(crm.pages("emEvents", {"type": kind}), [])
        optouts.store_em_events(engine, rows, now=now)


def store(
    people_rows: Sequence[Row],
    event_rows: Sequence[Row],
    activity_rows: dict[str, list[Row]],
    *,
    lake: Lake,
    engine: Engine,
    now: datetime,
    landed_by: str,
    settings: Settings | None = None,
) -> Intake:
    """Land payloads in the lake, then store what they mean in the ledger; unreadable ones are set aside.

    What the CRM told of people who were erased meanwhile goes nowhere.
    """
    erased = erased_ids(engine)
    if erased:
        # Read before they were erased.
        people_rows = without_erased("people", people_rows, erased)
        event_rows = without_erased("events", event_rows, erased)
        activity_rows = {name: without_erased(name, rows, erased) for name, rows in activity_rows.items()}
    batches = {tables.PEOPLE: people_rows, tables.EVENTS: event_rows}
    batches |= {ACTIVITIES[name]: rows for name, rows in activity_rows.items()}
    landed = landing.land_all(lake, batches, landed_by=landed_by, now=now)
    set_aside = [record for report in landed for record in report.set_aside]
    people = _read_all(people_rows, read_person, "fub_people", set_aside)
    inquiries = _read_all(event_rows, read_inquiry, "fub_events", set_aside)
    acts = [act for row in people_rows if (act := read_email_act(row)) is not None and act.at > now - RECENT]
    for name, rows in activity_rows.items():
        acts += _read_all(rows, partial(read_human_action, name), f"fub_{name}", set_aside)
    stored = upsert_people(engine, people, now=now)
    set_aside += stored.set_aside
    new_inquiry_ids = store_inquiries(engine, inquiries, now=now)
    human_ids = store_human_actions(engine, acts, now=now)
    optouts.store_lead_events(engine, event_rows, now=now)
    verbal.store_activities(engine, activity_rows, settings=settings, now=now)
    verbal.store_tags(engine, people, settings=settings, now=now)
    if settings is not None:
        end_at_stop_stages(engine, stored.changed_ids, settings=settings, now=now)
    with engine.begin() as connection:
        count = quarantine.store(connection, set_aside, now=now)
    return Intake(
        person_ids=tuple(person.person_id for person in people),
        new_ids=stored.new_ids,
        changed_ids=stored.changed_ids,
        inquiries=tuple(inquiries),
        new_inquiry_ids=new_inquiry_ids,
        human_ids=human_ids,
        count_by_table={report.table: report.count_written for report in landed},
        count_set_aside=count,
    )


def _read_all(rows: Iterable[Row], read: Callable[[Row], T | None], source: str, set_aside: list[SetAside]) -> list[T]:
    """Every record that can be read and means something; what cannot be read is set aside with its reason."""
    found: list[T] = []
    for payload in rows:
        try:
            record = read(payload)
        except BadRecord as error:
            set_aside.append(_set_aside(source, payload, str(error)))
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            # A shape nobody has seen yet: this record waits for a person, the others do not.
            set_aside.append(_set_aside(source, payload, f"unreadable: {type(error).__name__}"))
        else:
            if record is not None:
                found.append(record)
    return found


def end_at_stop_stages(engine: Engine, person_ids: Sequence[int], *, settings: Settings, now: datetime) -> None:
    """End the plans of those who now stand at a stop stage, with what is queued for them; merges are followed first."""
    from leadpipe.crm.sweep import follow_merges
    from leadpipe.outreach import events

    if not person_ids:
        return
    # The losers of a merge land in Trash: their passages go to the winner rather than end there.
    follow_merges(engine, now=now)
    with engine.begin() as connection:
        stopped = connection.execute(
            text(
                "select distinct person_id from ledger.people join ledger.enrolments e using (person_id) "
                "where person_id = any(cast(:ids as bigint[])) and stage = any(cast(:stages as text[])) "
                "and e.state in ('open', 'paused') order by person_id"
            ),
            {"ids": list(person_ids), "stages": list(settings.stop_stages)},
        ).scalars()
        for person_id in stopped.all():
            events.note(connection, person_id, "stop_stage", settings=settings, now=now)


def _set_aside(source: str, payload: Row, reason: str) -> SetAside:
    key = str(payload.get("id", "no id"))[:100]
    return SetAside(source=source, record_key=key, reason=reason, raw=canonical(payload).encode())
