"""The audit log: sealed in order, and whatever is changed in it or under it is found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.audit import seal as sealing
from leadpipe.audit.seal import Sealer, seal
from leadpipe.audit.sources import SOURCES
from leadpipe.audit.verify import Head, verify
from leadpipe.clock import FixedClock
from leadpipe.errors import PermanentError
from leadpipe.messaging import switch

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.settings import Settings

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)


def act(engine: Engine, kind: str = "export", **detail: Any) -> int:
    with engine.begin() as connection:
        return acts.record(connection, kind=kind, actor="ann@desk", person_id=7, detail=detail, now=NOW)


def tamper(engine: Engine, *statements: str) -> None:
    """What somebody with the database's superuser could do."""
    with engine.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def engine(ledger_engine: Engine, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A ledger with nine rows of several tables, sealed in links of two and the last one alone."""
    monkeypatch.setattr(sealing, "LINK_ROWS", 2)
    with ledger_engine.begin() as connection:
        connection.execute(
            text("insert into ledger.contact_points (kind, address, created_at) values ('email', 'a@b.example', :now)"),
            {"now": NOW},
        )
        for number in range(3):
            connection.execute(
                text(
                    "insert into ledger.suppressions (contact_point_id, channel, source, evidence, at, recorded_at) "
                    "values (1, 'email', 'phrase', cast(:words as jsonb), :now, :now)"
                ),
                {"words": f'{{"words": "stop {number}"}}', "now": NOW},
            )
    for number in range(6):
        act(ledger_engine, number=number)
    assert seal(ledger_engine, clock=clock) == 9
    return ledger_engine


def test_what_was_written_is_sealed_once_and_found_as_it_was(engine: Engine, clock: FixedClock) -> None:
    found = verify(engine)
    assert found.problems == ()
    assert (found.count_rows, found.count_seals, found.count_unsealed) == (9, 5, 0)
    assert seal(engine, clock=clock) == 0
    act(engine)
    assert verify(engine).count_unsealed == 1
    assert seal(engine, clock=clock) == 1
    after = verify(engine, head=found.head)
    assert after.problems == ()
    assert (after.count_rows, after.count_seals) == (10, 6)
    assert after.head != found.head


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update ledger.acts set actor = 'bob@desk' where id = 3", "ledger.acts row 3 was changed"),
        ("update ledger.acts set detail = '{}' where id = 3", "ledger.acts row 3 was changed"),
        ("update ledger.suppressions set source = 'bounce' where id = 2", "ledger.suppressions row 2 was changed"),
        ("delete from ledger.suppressions where id = 2", "ledger.suppressions row 2 is missing"),
        ("delete from ledger.acts where id = 6", "ledger.acts row 6 is missing"),
        ("delete from ledger.audit where seq = 4", "link 2 has 1 rows and was sealed with 2"),
        ("update ledger.audit set row_hash = sha256('x') where seq = 4", "link 2 is not what was sealed"),
        ("update ledger.audit set seq = case seq when 5 then 106 else 5 end where seq in (5, 6); "
         "update ledger.audit set seq = 6 where seq = 106", "link 3 is not what was sealed"),
        ("update ledger.audit_seals set hash = sha256('x') where id = 2", "link 3 does not follow link 2"),
        ("delete from ledger.audit_seals where id = 2", "links 2 to 2 are missing"),
        ("delete from ledger.audit_seals where id = 5", "row 9 of the audit log belongs to no link"),
        ("delete from ledger.audit_seals where id = 5; delete from ledger.audit where seq = 9",
         "is not in the chain: it was cut off"),
        ("delete from ledger.audit where seq = 9; update ledger.audit_seals set count_rows = 1 where id = 4; "
         "delete from ledger.audit_seals where id = 5", "belongs to no link|1 rows|older than the newest link"),
        ("update ledger.acts set detail = jsonb_build_object('erasure_id', 1, 'erased_sha256', "
         "encode(sha256(convert_to(detail::text, 'UTF8')), 'hex')) where id = 3", "were emptied by no erasure"),
    ],
)  # fmt: skip
def test_a_changed_missing_or_reordered_row_is_found(engine: Engine, statement: str, said: str) -> None:
    head = verify(engine).head
    tamper(engine, *statement.split("; "))
    problems = verify(engine, head=head).problems
    assert any(part in problem for part in said.split("|") for problem in problems), problems


def test_a_row_slipped_in_behind_the_chain_is_found(engine: Engine, clock: FixedClock) -> None:
    tamper(
        engine,
        "insert into ledger.acts (kind, actor, at, xid) overriding system value "
        "select 'erasure', 'x', at, xid from ledger.acts where id = 1",
    )
    assert seal(engine, clock=clock) == 0
    assert any("older than the newest link" in problem for problem in verify(engine).problems)


def test_the_tables_refuse_changes_in_ordinary_ways(engine: Engine) -> None:
    for table in ("acts", "audit", "audit_seals"):
        for statement in (f"delete from ledger.{table}", f"truncate ledger.{table}"):
            with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
                connection.execute(text(statement))


def test_an_open_transaction_is_sealed_when_it_ends_and_nothing_after_it_is_lost(
    engine: Engine, clock: FixedClock
) -> None:
    """Ids are drawn before a commit: by ids, the row of the slow one would be passed over for ever."""
    with engine.connect() as slow:
        begun = slow.begin()
        acts.record(slow, kind="export", actor="slow", now=NOW)
        act(engine)
        assert seal(engine, clock=clock) == 0, "the fast one waits in the tail for the slow one before it"
        begun.commit()
    assert seal(engine, clock=clock) == 2
    assert verify(engine).problems == ()


def test_two_sealers_at_once_make_one_chain(engine: Engine, clock: FixedClock) -> None:
    def write(number: int) -> None:
        for _ in range(10):
            act(engine, number=number)
            seal(engine, clock=clock)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    while seal(engine, clock=clock):
        pass
    found = verify(engine)
    assert found.problems == ()
    assert found.count_rows == 49
    assert found.count_unsealed == 0


def test_the_sealer_seals_by_itself(ledger_engine: Engine, clock: FixedClock) -> None:
    sealer = Sealer(ledger_engine, clock=clock, every_seconds=0.02)
    sealer.start()
    act(ledger_engine)
    try:
        for _ in range(200):
            if verify(ledger_engine).count_rows:
                break
    finally:
        sealer.stop()
    assert verify(ledger_engine).count_rows == 1


def test_stopping_and_resuming_is_an_act_with_who_did_it(ledger_engine: Engine, clock: FixedClock) -> None:
    from datetime import timedelta

    switch.stop(ledger_engine, now=NOW, reason="too many", plans=("nurture",))
    switch.resume(ledger_engine, now=NOW, stale_after=timedelta(hours=24))
    with ledger_engine.connect() as connection:
        rows = connection.execute(text("select kind, actor, detail from ledger.acts order by id")).all()
    assert [row.kind for row in rows] == ["sending", "sending"]
    assert rows[0].detail["plans"] == ["nurture"]
    assert {row.actor for row in rows} == {acts.whoami()}


def test_a_changed_setting_is_an_act_by_name_and_no_value_is_in_it(ledger_engine: Engine, settings: Settings) -> None:
    assert "fub_api_key" in acts.record_settings(ledger_engine, settings, now=NOW)
    assert acts.record_settings(ledger_engine, settings, now=NOW) == ()
    changed = settings.model_copy(
        update={"fub_api_key": SecretStr("fka_planted"), "allowlist": ("ada@planted.example",)}
    )
    assert acts.record_settings(ledger_engine, changed, now=NOW) == ("allowlist", "fub_api_key")
    with ledger_engine.connect() as connection:
        told = " ".join(connection.execute(text("select detail::text from ledger.acts")).scalars())
    assert "planted" not in told


def test_every_source_has_its_columns() -> None:
    from leadpipe.store.tables.base import metadata

    for source in SOURCES:
        known = set(metadata.tables[source.name].c.keys())
        assert {*source.columns, source.detail, "xid"} <= known, source.table


def test_a_head_that_is_none_is_refused() -> None:
    with pytest.raises(PermanentError, match="NUMBER:HASH"):
        Head.parse("latest")
