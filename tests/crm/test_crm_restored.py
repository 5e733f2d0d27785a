"""The backfill firewall: whatever Dagster runs again, and on whatever copy, nobody is written to twice.

Real stores and a sandbox over HTTP; what left is the sandbox's own count, not leadpipe's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from sqlalchemy import Engine, text

from assets import ledger_mirror, outreach
from leadpipe.clock import WallClock
from leadpipe.crm import webhooks
from leadpipe.definitions import build_defs
from leadpipe.messaging import right, take_over
from leadpipe.messaging.suppression import suppress
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.store import sealed
from leadpipe.store.backup import back_up
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake
from leadpipe.store.restore import restore
from leadpipe.work import poll
from leadpipe.work.write_back import write_back
from resources.runtime import LeadpipeResource
from tests.crm.conftest import Account, Asking

SECRET, PUBLIC = sealed.new_key()
# Jobs that cause effects, or lead to them.
EFFECTS = (
    "first_touch",
    "read_replies",
    "send_due",
    "write_back",
    "deliver_alerts",
    "poll",
    "enqueue_planned",
    "tell_scores",
)
given: list[Runtime] = []


@dataclass(frozen=True)
class Outside:
    """What anybody outside could notice: messages at the providers, records and hooks at the CRM."""

    messages: int
    notes: int
    tasks: int
    tags: int
    hooks: int


@pytest.fixture
def outside(world: World, runtime: Runtime) -> Callable[[], Outside]:
    """A function that counts it."""

    def count() -> Outside:
        pages = {
            name: [row for page in runtime.crm.pages(name) for row in page] for name in ("notes", "tasks", "people")
        }
        return Outside(
            messages=len(world.sandbox.accepted),
            notes=len(pages["notes"]),
            tasks=len(pages["tasks"]),
            tags=sum(len(row.get("tags") or []) for row in pages["people"]),
            hooks=sum(1 for page in runtime.crm.pages("webhooks") for _ in page),
        )

    return count


@pytest.fixture
def live(runtime: Runtime) -> Runtime:
    """A system that has read its account once and welcomes whoever comes."""
    poll.poll(runtime)
    return runtime


@pytest.fixture
def tables(lake: Lake) -> None:
    """Every table of the lake, for those who read what nothing was written to yet."""
    create_tables(lake)


Again = Callable[[Path], Runtime]


@pytest.fixture
def bring_back(
    runtime: Runtime, new_database: Callable[[str], str], server_url: str, tmp_path: Path
) -> Generator[Again]:
    """A function that restores a backup into another database and lake, and hands out the system over it."""
    made: list[Runtime] = []

    def run(source: Path) -> Runtime:
        url = new_database("template0")
        settings = runtime.settings.model_copy(
            update={"home": tmp_path / "restored", "database_url": url, "lake_path": str(tmp_path / "lake")}
        )
        restore(settings=settings, source=source, key=SECRET, now=WallClock().now())
        again = Runtime(settings)
        again.__dict__["lake"] = Lake(database_url=url, data_path=settings.lake_url, home=runtime.settings.home)
        made.append(again)
        return again

    yield run
    for each in made:
        each.close()
        name = each.database_url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(server_url.replace("/leadpipe?", "/postgres?"), autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())


def backed_up(runtime: Runtime, folder: Path) -> Path:
    return back_up(lake=runtime.lake, home=runtime.settings.home, target=folder, key=PUBLIC, now=WallClock().now).path


def lead(account: Account, name: str) -> int:
    return account.inquire(firstName=name, emails=[{"value": f"{name.lower()}@example.com"}])


@cache
def definitions_over(runtime_id: int) -> dg.Definitions:
    """All of them, made once a system."""
    (runtime,) = [each for each in given if id(each) == runtime_id]
    return build_defs(runtime.settings, leadpipe=LeadpipeResource.of(runtime))


def job_of(runtime: Runtime, name: str) -> dg.JobDefinition:
    if runtime not in given:
        given.append(runtime)
    return definitions_over(id(runtime)).resolve_job_def(name)


def run_job(runtime: Runtime, name: str) -> dg.ExecuteInProcessResult:
    job = job_of(runtime, name)
    config = {"ops": {op: {"config": {"linger_seconds": 0}} for op in LINGERING.get(name, ())}}
    return job.execute_in_process(run_config=config, raise_on_error=False)


LINGERING = {
    "first_touch": ("answer_new_leads",),
    "read_replies": ("answer_replies",),
    "send_due": ("send_due_messages",),
}


def test_a_restored_system_sends_nothing_and_after_a_take_over_nothing_twice(
    live: Runtime, account: Account, world: World, ask: Asking, outside: Callable[[], Outside], bring_back: Again,
    tmp_path: Path, ledger_engine: Engine,
) -> None:  # fmt: skip
    first = lead(account, "Ana")
    poll.poll(live)
    assert [message.to for message in world.sandbox.accepted] == ["ana@example.com"]
    path = backed_up(live, tmp_path)

    # What the backup does not know: Bo is welcomed, Ana refuses by the link, which only her tag tells outside.
    lead(account, "Bo")
    poll.poll(live)
    with ledger_engine.begin() as connection:
        point = connection.execute(
            text("select id from ledger.contact_points where address = 'ana@example.com'")
        ).scalar_one()
        suppress(connection, contact_point_id=point, channels=["all"], source="one_click", at=ask.now, now=ask.now)
    write_back(live)
    seen = outside()
    assert (seen.messages, seen.tags) == (2, 1)

    again = bring_back(path)
    theirs = Asking(again)
    poll.poll(again)
    assert outside() == seen
    assert theirs.ledger("select state from ledger.messages order by created_at") == [("accepted",), ("queued",)]

    taken = take_over.take_over(
        again.engine, again.settings, now=theirs.now, by="ana", silent_since=theirs.now, is_complete=False
    )
    assert taken.why == right.CATCHING_UP
    run_job(again, "send_due")
    assert outside() == seen
    done = poll.poll(again)
    assert done.failures == []
    with again.engine.connect() as connection:
        assert right.standing(connection, again.settings).may_send
    assert theirs.ledger("select source, channel from ledger.suppressions") == [("crm_tag", "all")]
    run_job(again, "send_due")
    assert outside() == seen
    assert theirs.ledger("select state, code from ledger.messages where state <> 'accepted'") == [
        ("review", "restored")
    ]
    assert theirs.one("select body from ledger.alerts where kind = 'caught_up'").startswith("All that happened since")

    # Who comes after the silence is welcomed, by the one that has the right, once.
    lead(account, "Cy")
    poll.poll(again)
    assert outside().messages == seen.messages + 1
    assert first in {row.person_id for row in theirs.ledger("select person_id from ledger.people")}


@pytest.mark.usefixtures("tables")
def test_no_job_of_a_copy_reaches_anybody(
    live: Runtime, account: Account, outside: Callable[[], Outside], bring_back: Again, tmp_path: Path, ask: Asking
) -> None:
    lead(account, "Ana")
    poll.poll(live)
    with live.engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.writebacks (person_id, kind, marker, payload, created_at) select person_id, "
                "'note', 'm', '{\"body\": \"x\"}', :now from ledger.people limit 1"
            ),
            {"now": ask.now},
        )
    copy = bring_back(backed_up(live, tmp_path))
    lead(account, "Bo")
    seen = outside()
    failed = [name for name in EFFECTS if not run_job(copy, name).success]
    assert (failed, outside()) == ([], seen)
    with pytest.raises(right.NoRightToSend):
        right.must_be_here(copy.engine, copy.settings)
    assert [hook.state for hook in webhooks.status(copy.crm, copy.settings)] == ["missing"] * len(webhooks.EVENTS)


def sending_job() -> dg.JobDefinition:
    """For re-execution Dagster builds the job anew by its name."""
    return job_of(given[-1], "send_due")


def test_a_run_that_fails_after_sending_is_retried_and_re_executed_without_a_second_message(
    live: Runtime, account: Account, world: World, monkeypatch: pytest.MonkeyPatch, ask: Asking
) -> None:
    from leadpipe.work import send_due

    lead(account, "Ana")
    poll.poll(live, channels={})  # welcomed, but no channel to leave by
    with live.engine.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text("update ledger.messages set state = 'queued', code = null"))
    given.append(live)
    real = send_due.send_due

    def fails_afterwards(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        raise RuntimeError("the process died after its work")

    config = {"ops": {"send_due_messages": {"config": {"linger_seconds": 0}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(send_due, "send_due", fails_afterwards)
        with dg.execute_job(dg.reconstructable(sending_job), instance, run_config=config) as failed:
            assert not failed.success
        assert [message.to for message in world.sandbox.accepted] == ["ana@example.com"]
        monkeypatch.setattr(send_due, "send_due", real)
        again = dg.ReexecutionOptions.from_failure(failed.run_id, instance)
        with dg.execute_job(
            dg.reconstructable(sending_job), instance, run_config=config, reexecution_options=again
        ) as repeated:
            assert repeated.success
        with dg.execute_job(dg.reconstructable(sending_job), instance, run_config=config) as once_more:
            assert once_more.success
    assert len(world.sandbox.accepted) == 1


@pytest.mark.usefixtures("tables")
def test_materializing_and_backfilling_again_reaches_nobody(
    live: Runtime, account: Account, outside: Callable[[], Outside], ask: Asking
) -> None:
    """Assets compute; each of the cohorts and the whole mirror, twice."""
    lead(account, "Ana")
    poll.poll(live)
    seen = outside()
    last = (ask.now.replace(day=1) - timedelta(days=1)).replace(day=1)
    cohorts = [day.strftime("%Y-%m-01") for day in ((last - timedelta(days=1)).replace(day=1), last)]
    resources = {"leadpipe": LeadpipeResource.of(live)}
    for _ in range(2):
        for cohort in cohorts:
            assert dg.materialize([outreach.queue], partition_key=cohort, resources=resources).success
        assert dg.materialize([ledger_mirror.ledger_mirror], resources=resources).success
    assert outside() == seen
