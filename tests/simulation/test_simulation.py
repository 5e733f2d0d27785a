"""A simulated day and the day itself: the same messages, and the ledger is untouched by the first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from leadpipe.errors import ConfigurationError
from leadpipe.runtime import Runtime
from leadpipe.simulation.figures import Simulated
from leadpipe.simulation.run import simulate
from leadpipe.simulation.snapshot import PREFIX
from tests.explain.conftest import AGREED

if TYPE_CHECKING:
    from tests.outreach.conftest import World

# A Monday, 20:00 in Chicago.
EVENING = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
AGED = timedelta(days=200)


def runtime_of(world: World) -> Runtime:
    runtime = Runtime(world.settings)
    runtime.__dict__["clock"] = world.clock
    return runtime


def simulated(world: World, plan: str = "reactivation", **more: Any) -> Simulated:
    runtime = runtime_of(world)
    try:
        return simulate(runtime, plan, as_of=more.pop("as_of", None), count_days=more.pop("days", 1))
    finally:
        runtime.close()


def everything(world: World) -> list[tuple[Any, ...]]:
    """Every row of the ledger, as text, and every row of the queue."""
    tables = [row[0] for row in world.sql("select table_name from information_schema.tables "
                                          "where table_schema = 'ledger' order by 1")]  # fmt: skip
    rows = [(name, *row) for name in tables for row in world.sql(f"select t::text from ledger.{name} t order by 1")]
    return [*rows, *((str(row),) for row in world.queue())]


def actual(world: World, end: datetime) -> set[tuple[Any, ...]]:
    """The days as they happen: planned at 03:00 of the team, what is due worked off every half hour."""
    begun = world.clock.now()
    while world.clock.now() < end:
        if world.clock.now().hour == 9 and world.clock.now().minute == 0:
            world.plan()
            world.enqueue_planned()
        world.work()
        world.clock.advance(timedelta(minutes=30))
    rows = world.sql(
        "select person_id, plan, step, occurrence, channel from ledger.messages where accepted_at > :begun", begun=begun
    )
    return set(rows)


def people(world: World, add_person: Any) -> None:
    for person_id in range(1, 9):
        add_person(person_id, age=AGED + timedelta(days=40 * person_id))
    add_person(9, age=AGED, emails=[], **AGREED)
    add_person(10, age=AGED, emails=[], addresses=[{"city": "Denver", "state": "CO", "code": "80202"}], **AGREED)
    add_person(11, age=AGED, emails=[])
    add_person(12, age=AGED, stage="Closed")
    add_person(13, age=timedelta(days=20))


def test_a_simulated_day_sends_what_the_day_itself_then_sends_and_touches_nothing(
    planning_world: World, add_person: Any
) -> None:
    world = planning_world
    world.clock.advance(EVENING - world.clock.now())
    people(world, add_person)
    world.settings = world.settings.model_copy(update={"cap_per_plan_per_day": 7})
    before = everything(world)
    found = simulated(world)
    assert everything(world) == before
    with psycopg.connect(world.settings.database_url or "") as connection:
        assert connection.execute(
            "select count(*) from pg_database where datname like %s", [f"{PREFIX}%"]
        ).fetchone() == (0,)

    then = actual(world, EVENING + timedelta(days=1))
    own = {key for key in then if key[1] == "reactivation"}
    assert {send.key for send in found.sends} == own
    assert (len(own), found.count_others) == (7, len(then - own))
    # Others were planned and are over the plan's share of the day.
    assert found.not_sent["queued"] >= 1
    assert list(found.caps_hit) == ["cap_per_plan_per_day:reactivation"]
    assert {send.hour.hour for send in found.sends} <= set(range(9, 21))
    assert found.excluded["stopped:stop_stage"] == 1
    assert found.excluded["no_channel:no_consent"] == 1
    by_email = sum(send.channel == "email" for send in found.sends)
    assert found.cost_usd == pytest.approx(by_email * 0.0001 + found.segments * 0.0108)
    said = found.as_json()
    assert sum(row["count"] for row in said["sends"]) == said["count_sends"] == 7
    assert said["expected_replies"] is None

    # Asked afterwards as of that evening, the rewound copy says the same.
    again = simulated(world, as_of=EVENING)
    assert {send.key for send in again.sends} == own


def test_a_plan_that_is_none_is_refused_and_no_copy_is_left_behind_by_a_failure(
    planning_world: World, add_person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = planning_world
    add_person(1, age=AGED)
    with pytest.raises(ConfigurationError, match="no plan 'autumn'; there are "):
        simulated(world, "autumn")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    # What a simulation that was killed left behind goes with the next one.
    with psycopg.connect(world.settings.database_url or "", autocommit=True) as connection:
        connection.execute(f"create database {PREFIX}left_over".encode())
    monkeypatch.setattr("leadpipe.simulation.days.play", broken)
    with pytest.raises(RuntimeError, match="broken"):
        simulated(world)
    with world.engine.connect() as connection:
        left = connection.execute(
            text("select count(*) from pg_database where datname like :name"), {"name": f"{PREFIX}%"}
        )
        assert left.scalar() == 0
