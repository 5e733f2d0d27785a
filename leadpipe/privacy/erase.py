"""Erasing a person: the order of the steps, what a stop between them leaves, and the certificate.

What lives here: the whole of `person erase`. What does not: each step (``clear``, ``lake_erase``, ``disk``, ``scan``),
the CRM's part (``at_crm``).

The steps, each safe to repeat; the request's row says how far it came, and the same command goes on from there:

1. requested: plans end, what waits is cancelled, every address is suppressed and its hash kept. Nothing goes out from
   here on. What the scan will look for is kept in the request.
2. cleared: under the lake's exclusive lock (no mirror, no landing, no dbt), rows leave the lake, then the ledger's rows
   are cleared. In this order a stop between the two leaves the addresses by which the rest is found.
3. done: marts' file, logs, Dagster's runs; tables written anew, the write-ahead log switched; then the scan.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.clock import WallClock
from leadpipe.errors import TransientError
from leadpipe.privacy import blot, clear, disk, erasure_list, lake_erase
from leadpipe.privacy.certificate import Erased, Plan
from leadpipe.privacy.needles import Needles, collect
from leadpipe.privacy.scan import scan
from leadpipe.privacy.subject import Subject, subject_of
from leadpipe.simulation import snapshot
from leadpipe.store import locks
from leadpipe.store.lake import CATALOG_SCHEMA
from leadpipe.store.tables.mirrored import MIRRORED

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

ACT = "erasure"
# The catalog's tables that hold values, not only numbers.
_CATALOG = ("ducklake_file_column_stats", "ducklake_table_column_stats", "ducklake_data_file", "ducklake_delete_file")
Tell = Callable[[str], None]


def plan(runtime: Runtime, person_id: int) -> Plan:
    """What would go, by table. Reads only.

    Raises:
        Rejected: the ledger does not know the person.
    """
    with runtime.engine.connect() as connection:
        subject = subject_of(connection, person_id)
        needles = collect(connection, runtime.lake, subject)
        counts = clear.affected(connection, subject, pattern=needles.pattern, now=runtime.clock.now())
        keys = {table: clear.keys_of(connection, table, subject, pattern=needles.pattern) for table in MIRRORED}
    return Plan(subject=subject, ledger=counts, lake=lake_erase.count_rows(runtime.lake, subject, keys))


def erase(
    runtime: Runtime,
    person_id: int,
    *,
    reason: str = "",
    actor: str | None = None,
    with_scan: bool = True,
    tell: Tell = lambda _: None,
) -> Erased:
    """Erase the person everywhere and prove it; the same call goes on with one that was stopped.

    Args:
        runtime: the system's stores.
        person_id: any record of the person.
        reason: for the request's row, e.g. the number of a ticket; no contact details.
        actor: who; None is who runs this process.
        with_scan: look before and after; without, the certificate says that nobody looked.
        tell: told of each step.

    Raises:
        Rejected: the ledger does not know the person.
        TransientError: a store is busy or down; nothing of what was done is lost, call again.
    """
    now = runtime.clock.now()
    tell("nothing is sent to them any more ...")
    subject, needles, report = _request(runtime, person_id, reason=reason, actor=actor or acts.whoami(), now=now)
    if with_scan:
        with report.timed("scan_before"):
            tell("looking where they are ...")
            report.before = scan(runtime.engine, runtime.lake, runtime.settings, needles)
    with report.timed("stores"):
        tell("taking them out of lake and ledger ...")
        _clear(runtime, subject, needles, report)
    with report.timed("files"):
        tell("marts, logs and runs ...")
        dagster = _other_files(runtime, needles, report)
    with report.timed("disk"):
        tell("writing tables anew, switching the log ...")
        _rewrite(runtime, report, dagster)
    if with_scan:
        with report.timed("scan_after"):
            tell("looking again ...")
            report.after = scan(runtime.engine, runtime.lake, runtime.settings, needles)
            if report.after.is_in_files_of_postgresql:
                # Dead rows of a table that is none of ours to know: every table of the database is written anew.
                _rewrite_all(runtime, report)
                report.after = scan(runtime.engine, runtime.lake, runtime.settings, needles)
    else:
        report.not_done.append("the scan: it was not asked for")
    _finish(runtime, report, actor=actor)
    return report


def _request(
    runtime: Runtime, person_id: int, *, reason: str, actor: str, now: datetime
) -> tuple[Subject, Needles, Erased]:
    from leadpipe.privacy.at_crm import tell_crm

    with runtime.engine.begin() as connection:
        # One erasure at a time, of whomever: the second would wait for the lake anyway.
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": locks.lock_key("erasure")})
        subject = subject_of(connection, person_id)
        clear.ensure_salt(connection, now=now)
        open_one = connection.execute(
            text(
                "select id, needles, requested_at from ledger.erasures "
                "where person_ids && cast(:people as bigint[]) and state <> 'done' order by id limit 1"
            ),
            {"people": list(subject.people)},
        ).one_or_none()
        needles = collect(connection, runtime.lake, subject)
        if open_one is not None:
            needles = needles.and_those(Needles.from_json(open_one.needles))
            erasure_id, requested_at = open_one.id, open_one.requested_at
            connection.execute(
                text("update ledger.erasures set needles = cast(:needles as jsonb) where id = :id"),
                {"needles": _dumped(needles.as_json()), "id": erasure_id},
            )
        else:
            requested_at = now
            erasure_id = connection.execute(
                text(
                    "insert into ledger.erasures (person_id, person_ids, reason, actor, state, needles, requested_at) "
                    "values (:person, :people, :reason, :actor, 'requested', cast(:needles as jsonb), :now) "
                    "returning id"
                ),
                {
                    "person": person_id,
                    "people": list(subject.people),
                    "reason": reason,
                    "actor": actor,
                    "needles": _dumped(needles.as_json()),
                    "now": now,
                },
            ).scalar_one()
            detail = {"erasure_id": erasure_id, "records": list(subject.people), "step": "requested"}
            acts.record(connection, kind=ACT, actor=actor, person_id=person_id, detail=detail, now=now)
            tell_crm(connection, runtime.settings, subject, erasure_id=erasure_id, now=now)
        clear.block(connection, subject, erasure_id=erasure_id, now=now)
    with runtime.engine.begin() as connection:
        erasure_list.note(runtime.settings, connection, erasure_id)
    shared = tuple(sorted({each for others in subject.shared.values() for each in others}))
    report = Erased(
        erasure_id=erasure_id,
        person_id=person_id,
        records=subject.people,
        shared_with=shared,
        requested_at=requested_at,
    )
    return subject, needles, report


def _clear(runtime: Runtime, subject: Subject, needles: Needles, report: Erased) -> None:
    engine, lake = runtime.engine, runtime.lake
    # A simulation that was killed left a copy of the ledger behind.
    snapshot.drop_left_over(runtime.database_url)
    with locks.files_lock(runtime.database_url), locks.lake_lock(runtime.database_url):
        with engine.connect() as connection:
            keys = {table: clear.keys_of(connection, table, subject, pattern=needles.pattern) for table in MIRRORED}
        gone = lake_erase.erase(lake, subject, keys, needles=needles, wall_now=WallClock().now())
        now = runtime.clock.now()
        report.ledger = clear.clear(engine, subject, erasure_id=report.erasure_id, pattern=needles.pattern, now=now)
        lake_erase.forget_statistics(engine, pattern=needles.pattern)
        with engine.begin() as connection:
            connection.execute(
                text("update ledger.erasures set state = 'cleared' where id = :id"), {"id": report.erasure_id}
            )
    # Whoever had read their record before the request may have stored it since.
    again = clear.clear(engine, subject, erasure_id=report.erasure_id, pattern=needles.pattern, now=runtime.clock.now())
    for table, count in again.items():
        report.ledger[table] = report.ledger.get(table, 0) + count
    report.lake = gone.rows_by_table
    report.snapshots_expired, report.files_deleted = gone.snapshots_expired, gone.files_deleted


def _other_files(runtime: Runtime, needles: Needles, report: Erased) -> list[str]:
    """The published marts, text files, Dagster's tables; returns those of Dagster's tables that were changed."""
    from leadpipe.store.publish import path_of, publish

    path = path_of(runtime.settings)
    if path.exists():
        try:
            publish(runtime.lake, path, now=runtime.clock.now())
        except TransientError:
            path.unlink(missing_ok=True)
        report.files[path.name] = 1
    if needles:
        report.files |= blot.text_files(runtime.settings, needles)
    return blot.dagster(runtime.engine, needles, report.files) if needles else []


def _rewrite(runtime: Runtime, report: Erased, dagster: list[str]) -> None:
    url = runtime.database_url
    catalog = [f"{CATALOG_SCHEMA}.{table}" for table in _CATALOG]
    # Every table of the ledger: a row that was changed before today left its old version too.
    disk.wait_for_open(url)
    tables = disk.rewrite_tables(url, [*disk.tables_of(url, ["ledger"]), *catalog, *dagster])
    with runtime.engine.begin() as connection:
        # What is looked for goes last, so that a stop before costs no proof; the scan's own copy is in memory.
        connection.execute(text("update ledger.erasures set needles = '{}' where id = :id"), {"id": report.erasure_id})
    disk.wait_for_open(url)
    disk.rewrite_tables(url, ["ledger.erasures"])
    switches, not_done = disk.switch_log(url)
    report.tables_rewritten, report.wal_switches = len(tables), switches
    report.not_done += not_done


def _rewrite_all(runtime: Runtime, report: Erased) -> None:
    url = runtime.database_url
    report.tables_rewritten += len(disk.rewrite_tables(url, disk.tables_of(url, ["ledger", CATALOG_SCHEMA, "dagster"])))
    switches, _ = disk.switch_log(url)
    report.wal_switches += switches


def _finish(runtime: Runtime, report: Erased, *, actor: str | None) -> None:
    report.done_at = now = runtime.clock.now()
    is_clean = report.after is not None and report.after.is_clean
    with runtime.engine.begin() as connection:
        connection.execute(
            text(
                "update ledger.erasures set state = 'done', done_at = :now, certificate = cast(:certificate as jsonb) "
                "where id = :id"
            ),
            {"now": now, "certificate": _dumped(report.as_json()), "id": report.erasure_id},
        )
        detail = {"erasure_id": report.erasure_id, "step": "done", "is_clean": is_clean}
        acts.record(connection, kind=ACT, actor=actor, person_id=report.person_id, detail=detail, now=now)


def _dumped(value: Any) -> str:
    import json

    return json.dumps(value, default=str, ensure_ascii=False)
