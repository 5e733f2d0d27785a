"""STOP against send on the real ledger: ``python -m benchmarks race --json``.

What lives here: two figures. *Interleavings*: of each message a refusal, a reply or a takeover begins at a step of the
send protocol that dice chose, and runs beside it from there. *Concurrency*: senders and people in processes of their
own, nothing ordered. What does not: the protocol (``leadpipe.messaging``), its model (``walks``).

The provider is the judge: as a call begins it asks the ledger whether anything is committed that should have kept the
message. With ``--without-lock`` the senders hold no address, and the figure must find calls that should not have been.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock
from uuid import UUID, uuid5

from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.conversation.inbound import Inbound, store_inbound
from leadpipe.conversation.takeover import pause_for_people
from leadpipe.messaging import claim as claims
from leadpipe.messaging import failpoints, last_look
from leadpipe.messaging.batch import Batch
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import enqueue
from leadpipe.messaging.intent import Intent
from leadpipe.messaging.suppression import PHONE_CHANNELS, suppress
from leadpipe.messaging.take_over import take_first
from leadpipe.messaging.under_way import Hold
from leadpipe.settings import Sending, Settings, StateValue
from leadpipe.store import ledger

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.messaging.batch import Claim

NOON = datetime(2026, 3, 3, 18, 0, tzinfo=UTC)  # a Tuesday in Chicago
NAMES = UUID("00000000-0000-0000-0000-00000000bbbb")
BODY = (
    "Hi, this is the automated assistant for Demo Realty. Still looking to buy? Reply STOP to opt out. "
    "https://demo-realty.example/iabs"
)
# In the order of the protocol; what comes at one of them begins there and commits whenever it can.
STEPS = (
    "before it is planned", "before its claim", "claim not committed", "claim committed", "call begins",
    "call under way", "call answered", "outcome not committed", "outcome committed",
)  # fmt: skip
ACTS = ("STOP", "STOP", "STOP", "STOP by text", "reply", "take over")
# So long a step waits for what began there; what waits for a lock is left to run on.
WAIT_SECONDS = 0.002
BATCH = 250
CONCURRENCY = 16
# In some batches calls begin late, so that they take their address anew and look again.
LATE_WITHIN_SECONDS, LATE_BY_SECONDS, LATE_SHARE = 0.02, 0.03, 0.1
_BARRED = text(
    """
    select exists (select 1 from ledger.suppressions where contact_point_id = :point and action = 'suppress')
      or exists (select 1 from ledger.inbound_messages where contact_point_id = :point and read_at is null)
      or exists (select 1 from ledger.people p join ledger.person_contact_points using (person_id)
        where contact_point_id = :point and p.automation_paused_at is not null)
    """
)


@dataclass(kw_only=True)
class Race:
    """What was met; ``after`` are calls that began though the ledger already held what should have kept them."""

    count: int = 0
    sent: int = 0
    after: int = 0
    committed_meanwhile: int = 0
    kept_at: Counter[str] = field(default_factory=Counter[str])
    sent_at: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One message and what its person does, at which step."""

    person_id: int
    point: int
    phone: str
    message_id: str
    step: str
    act: str


def settings_for(url: str, home: Path) -> Settings:
    """Settings under which every message of the race is lawful and no cap is near."""
    return Settings(
        home=home, database_url=url, sending=Sending.LIVE, brokerage_name="Demo Realty", a2p_campaign_id="CM-race",
        postal_address="100 Main Street, Suite 5, Houston, TX 77002", sms_number="+15125550100",
        twilio_account_sid="AC00000000000000000000000000000001", sms_disabled_states=(), min_gap_minutes=0,
        cap_per_run=10**9, cap_per_hour=10**9, cap_per_day=10**9, cap_per_number_per_day=10**9,
        cap_per_plan_per_day=10**9, warm_up=False, link_domains=("demo-realty.example",),
        licence_links=(StateValue("TX", "https://demo-realty.example/iabs"),), _env_file=None,  # pyright: ignore[reportCallIssue]
    )  # fmt: skip


def add_people(engine: Engine, first: int, count: int, *, now: datetime) -> list[tuple[int, int, str]]:
    """People in Austin who agreed to texts in writing; returns (person, contact point, phone)."""
    proof = {"signer": "Ana", "number": "as given", "seller": "ours", "disclosure": "full text", "ip": "192.0.2.1"}
    place = {"zip": "78701", "city": "Austin", "state": "TX"}
    values = {
        "first": first, "last": first + count - 1, "now": now, "proof": json.dumps(proof), "place": json.dumps(place),
    }  # fmt: skip
    with engine.begin() as connection:
        for statement in (
            "insert into ledger.people (person_id, first_name, stage, place, crm_created_at, crm_updated_at, "
            "first_seen_at, refreshed_at) select n, 'Ana', 'Lead', cast(:place as jsonb), :now, :now, :now, :now "
            "from generate_series(cast(:first as bigint), :last) n",
            "insert into ledger.contact_points (kind, address, created_at) "
            "select 'phone', '+1512' || (2000000 + n), :now from generate_series(cast(:first as bigint), :last) n",
            "insert into ledger.person_contact_points (person_id, contact_point_id) "
            "select n, c.id from generate_series(cast(:first as bigint), :last) n "
            "join ledger.contact_points c on c.kind = 'phone' and c.address = '+1512' || (2000000 + n)",
            "insert into ledger.consents (person_id, channel, level, seller, source, evidence, at, dedupe_key, "
            "recorded_at) select n, 'sms', 'pewc', 'ours', 'web_form', cast(:proof as jsonb), "
            "cast(:now as timestamptz) - interval '20 days', 'race:' || n, :now "
            "from generate_series(cast(:first as bigint), :last) n",
        ):
            connection.execute(text(statement), values)
        rows = connection.execute(
            text(
                "select o.person_id, c.id, c.address from ledger.person_contact_points o join ledger.contact_points c "
                "on c.id = o.contact_point_id where o.person_id between :first and :last order by 1"
            ),
            values,
        )
        return [(row[0], row[1], row[2]) for row in rows]


def intents_for(people: Sequence[tuple[int, int, str]], *, now: datetime) -> list[Intent]:
    """One text to each."""
    return [
        Intent(
            id=str(uuid5(NAMES, str(person_id))), person_id=person_id, contact_point_id=point, enrolment_id=None,
            plan="reactivation", plan_version="1", step="first", occurrence=1, channel="sms", purpose="marketing",
            subject="", body=BODY, due_at=now,
        )
        for person_id, point, _ in people
    ]  # fmt: skip


def act(engine: Engine, settings: Settings, plan: Plan, *, now: datetime) -> None:
    """What the person, or somebody of the team, does; returns after its commit."""
    if plan.act == "take over":
        with engine.begin() as connection:
            connection.execute(
                text(
                    "insert into ledger.human_actions (person_id, kind, crm_id, at, recorded_at) "
                    "values (:person, 'call', 'race:' || :person, :now, :now)"
                ),
                {"person": plan.person_id, "now": now},
            )
        pause_for_people(engine, [plan.person_id], settings=settings, now=now)
        return
    with engine.begin() as connection:
        if plan.act == "STOP":
            suppress(
                connection, contact_point_id=plan.point, channels=PHONE_CHANNELS, source="stop_keyword", at=now, now=now
            )
            return
        inbound = Inbound(
            channel="sms", provider_id=f"SM{plan.person_id:032x}", address=plan.phone, received_at=now,
            body="STOP" if plan.act == "STOP by text" else "Is it still there?",
        )  # fmt: skip
        store_inbound(connection, inbound, settings=settings, now=now)


class _Judge:
    """A provider that asks the ledger whether it should have been called at all."""

    provider = "twilio"

    def __init__(self, engine: Engine, race: Race, meet: Callable[[str, str], None], dice: Random) -> None:
        self._engine, self._race, self._meet, self._dice = engine, race, meet, dice
        self._guard = threading.Lock()

    def send(self, request: SendRequest) -> SendResult:
        """One call, answered in one of the ways providers answer."""
        self._meet("call begins", request.message_id)
        is_after = self._is_barred(request)
        self._meet("call under way", request.message_id)
        is_meanwhile = self._is_barred(request)
        with self._guard:
            self._race.sent += 1
            self._race.after += is_after
            self._race.committed_meanwhile += is_meanwhile and not is_after
            luck = self._dice.random()
        self._meet("call answered", request.message_id)
        if luck < 0.9:
            return SendResult.accepted(f"SM{UUID(request.message_id).hex}")
        return SendResult.unknown("ReadTimeout") if luck < 0.95 else SendResult.refused("30006")

    def _is_barred(self, request: SendRequest) -> bool:
        with self._engine.connect() as connection:
            return bool(connection.execute(_BARRED, {"point": request.contact_point_id}).scalar_one())


class _Meeting:
    """Begins what the dice planned when its step is reached."""

    def __init__(self, engine: Engine, settings: Settings, plans: Sequence[Plan], pool: ThreadPoolExecutor) -> None:
        self._engine, self._settings, self._pool = engine, settings, pool
        self._waiting = {plan.message_id: plan for plan in plans}
        self._guard = threading.Lock()
        self.begun: list[Future[None]] = []
        self.claimed: list[str] = []
        self.answered: set[str] = set()
        self.late_by = 0.0

    def meet(self, step: str, message_id: str) -> None:
        """The message is at this step."""
        with self._guard:
            if step == "call answered":
                self.answered.add(message_id)
            plan = self._waiting.get(message_id)
            if plan is None or plan.step != step:
                return
            del self._waiting[message_id]
            begun = self._pool.submit(act, self._engine, self._settings, plan, now=NOON)
            self.begun.append(begun)
        wait([begun], timeout=WAIT_SECONDS)

    def meet_all(self, step: str) -> None:
        """Every message left is at this step."""
        for message_id in [plan.message_id for plan in self._waiting.values() if plan.step == step]:
            self.meet(step, message_id)

    def hit(self, name: str) -> None:
        """A step of the sending loop; its claim's messages are known from the batch that was just decided."""
        step = {
            "claim.before_commit": "claim not committed", "claim.committed": "claim committed",
            "outcome.before_commit": "outcome not committed", "outcome.committed": "outcome committed",
        }.get(name)  # fmt: skip
        if step is None:
            return
        for message_id in list(self.claimed) if step.startswith("claim") else list(self.answered):
            self.meet(step, message_id)
        if name == "claim.committed" and self.late_by:
            time.sleep(self.late_by)

    def finish(self) -> None:
        """Everything that was begun has committed.

        Raises:
            Exception: one of them failed.
        """
        for one in self.begun:
            one.result(timeout=60)


@contextmanager
def _watched(meeting: _Meeting, *, has_lock: bool, is_late: bool) -> Generator[None]:
    """The real code, with its steps told to the meeting; without the lock every address is had for the asking."""

    class Told(Batch):
        def run(self, ids: list[str], found: Claim) -> None:
            super().run(ids, found)
            meeting.claimed = [claimed.request.message_id for claimed in found.claimed]

    meeting.late_by = LATE_BY_SECONDS if is_late else 0.0
    with (
        mock.patch.object(failpoints, "hit", meeting.hit),
        mock.patch.object(claims, "Batch", Told),
        mock.patch.object(last_look, "START_WITHIN_SECONDS", LATE_WITHIN_SECONDS if is_late else 60.0),
    ):
        if has_lock:
            yield
            return
        with (
            mock.patch.object(Hold, "take", lambda _, points: [True] * len(points)),
            mock.patch.object(Hold, "let_go", lambda *_: None),
            mock.patch.object(last_look, "is_still_clear", lambda *_: True),
        ):
            yield


def interleave(
    engine: Engine, settings: Settings, *, count: int, seed: int, has_lock: bool = True, first_person: int = 1
) -> Race:
    """So many messages, each with what its person does at a step that the seed chose; messages go in batches."""
    dice, race = Random(seed), Race()
    with ThreadPoolExecutor(32, "people") as pool:
        for start in range(0, count, BATCH):
            people = add_people(engine, first_person + start, min(BATCH, count - start), now=NOON)
            plans = [
                Plan(
                    person_id=person_id, point=point, phone=phone, message_id=str(uuid5(NAMES, str(person_id))),
                    step=dice.choice(STEPS), act=dice.choice(ACTS),
                )
                for person_id, point, phone in people
            ]  # fmt: skip
            meeting = _Meeting(engine, settings, plans, pool)
            judge = _Judge(engine, race, meeting.meet, dice)
            is_late = dice.random() < LATE_SHARE
            with _watched(meeting, has_lock=has_lock, is_late=is_late):
                meeting.meet_all("before it is planned")
                clock = FixedClock(NOON)
                enqueue(engine, intents_for(people, now=NOON), clock=clock, settings=settings, run_key="race")
                meeting.meet_all("before its claim")
                for _ in range(3):
                    _drain(engine, settings, clock, judge)
                    clock.advance(timedelta(seconds=30))
            meeting.finish()
            # Whatever came after that may leave nothing that still goes.
            with _watched(meeting, has_lock=has_lock, is_late=False):
                _drain(engine, settings, clock, judge)
            _count(engine, plans, race)
    race.count = count
    return race


def _drain(engine: Engine, settings: Settings, clock: FixedClock, judge: _Judge) -> None:
    drain(
        engine=engine, channels={"sms": judge}, settings=settings, clock=clock, concurrency=CONCURRENCY,
        budget=Budget(max_messages=10**9, max_seconds=600),
    )  # fmt: skip


def _count(engine: Engine, plans: Sequence[Plan], race: Race) -> None:
    with engine.connect() as connection:
        attempts = set(
            connection.execute(
                text(
                    "select distinct message_id::text from ledger.attempts "
                    "where message_id = any(cast(:ids as uuid[])) and outcome is distinct from 'not_sent'"
                ),
                {"ids": [plan.message_id for plan in plans]},
            ).scalars()
        )
    for plan in plans:
        (race.sent_at if plan.message_id in attempts else race.kept_at)[plan.step] += 1


# -- concurrency: processes


def _send(url: str, home: str, has_lock: bool, until: Any, found: Any) -> None:
    """A sender of its own process: drains until told that everybody has acted and nothing is left."""
    engine = ledger.connect(url, pool_size=CONCURRENCY + 4)
    race = Race()
    judge = _Judge(engine, race, lambda *_: None, Random(1))
    settings = settings_for(url, Path(home))
    meeting = _Meeting(engine, settings, (), ThreadPoolExecutor(1))
    with _watched(meeting, has_lock=has_lock, is_late=False):
        while not until.is_set():
            _drain(engine, settings, FixedClock(NOON), judge)
        _drain(engine, settings, FixedClock(NOON + timedelta(minutes=30)), judge)
    found.put((race.sent, race.after, race.committed_meanwhile))
    engine.dispose()


def _refuse(url: str, home: str, plans: list[Plan]) -> None:
    """People of a process of their own."""
    engine = ledger.connect(url, pool_size=10)
    settings = settings_for(url, Path(home))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda plan: act(engine, settings, plan, now=NOON), plans))
    engine.dispose()


def compete(
    engine: Engine, url: str, home: Path, *, count: int, seed: int, first_person: int, has_lock: bool = True
) -> Race:
    """Two senders and two processes of people on the same messages, nobody waiting for anybody but by the locks."""
    dice, settings = Random(seed), settings_for(url, home)
    people = add_people(engine, first_person, count, now=NOON)
    enqueue(engine, intents_for(people, now=NOON), clock=FixedClock(NOON), settings=settings, run_key="race")
    plans = [
        Plan(person_id=p, point=point, phone=phone, message_id="", step="", act=dice.choice(ACTS))
        for p, point, phone in people
    ]
    # The senders take the first ones first; people who act near them meet them.
    plans = sorted(plans, key=lambda plan: plan.person_id + dice.uniform(-200, 200))
    context = multiprocessing.get_context("spawn")
    over, found = context.Event(), context.Queue()
    senders = [context.Process(target=_send, args=(url, str(home), has_lock, over, found)) for _ in range(2)]
    crowd = [context.Process(target=_refuse, args=(url, str(home), plans[n::2])) for n in range(2)]
    for process in (*senders, *crowd):
        process.start()
    for process in crowd:
        process.join()
    over.set()
    race = Race(count=count)
    for _ in senders:
        sent, after, meanwhile = found.get(timeout=300)
        race.sent, race.after = race.sent + sent, race.after + after
        race.committed_meanwhile += meanwhile
    for process in senders:
        process.join()
    return race


def main(arguments: list[str] | None = None) -> int:
    """Race and print; exits 1 when a call began after a refusal's commit, or, without the lock, when none did."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks race", description=__doc__)
    parser.add_argument("--interleavings", type=int, default=100_000)
    parser.add_argument("--concurrent", type=int, default=10_000, help="messages of the run with processes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-lock", action="store_true", help="show that the figure can see")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    # Also when it is ended, the server goes with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with _ledger() as (url, home):
        engine = ledger.connect(url, pool_size=60)
        settings, has_lock = settings_for(url, home), not asked.without_lock
        began = time.monotonic()
        one = interleave(engine, settings, count=asked.interleavings, seed=asked.seed, has_lock=has_lock)
        between = time.monotonic()
        two = compete(
            engine, url, home, count=asked.concurrent, seed=asked.seed, has_lock=has_lock,
            first_person=asked.interleavings + 1,
        )  # fmt: skip
        ended = time.monotonic()
        engine.dispose()
    found = {
        "interleavings": one.count,
        "sent": one.sent,
        "sent_after_suppression": one.after,
        "committed_during_a_call": one.committed_meanwhile,
        "steps": {step: {"sent": one.sent_at[step], "kept": one.kept_at[step]} for step in STEPS},
        "seconds": round(between - began, 1),
        "concurrent": two.count,
        "concurrent_sent": two.sent,
        "concurrent_sent_after_suppression": two.after,
        "concurrent_committed_during_a_call": two.committed_meanwhile,
        "concurrent_seconds": round(ended - between, 1),
    }
    print(json.dumps(found) if asked.json else _in_words(found))
    after = one.after + two.after
    return int((after > 0) == has_lock)


def _in_words(found: dict[str, Any]) -> str:
    steps = "\n".join(f"  {step}: sent {n['sent']}, kept {n['kept']}" for step, n in found["steps"].items())
    return (
        f"{found['interleavings']} interleavings in {found['seconds']} s, {found['sent']} calls, "
        f"{found['sent_after_suppression']} of them after a refusal's commit\n{steps}\n"
        f"{found['concurrent']} messages under true concurrency in {found['concurrent_seconds']} s, "
        f"{found['concurrent_sent']} calls, {found['concurrent_sent_after_suppression']} after a refusal's commit"
    )


@contextmanager
def _ledger() -> Generator[tuple[str, Path]]:
    """A fresh ledger on a server of its own; order is the subject here, so nothing is kept on the disk."""
    import psycopg

    from leadpipe.store.server import EmbeddedServer

    home = Path(tempfile.mkdtemp(prefix="leadpipe-race-", dir="/tmp"))
    home.chmod(0o755)
    server = EmbeddedServer(home)
    try:
        url = server.ensure_running()
        with psycopg.connect(url, autocommit=True) as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"alter system set {name} = off".encode())
            connection.execute("select pg_reload_conf()")
        ledger.upgrade(url)
        engine = ledger.connect(url)
        take_first(engine, settings_for(url, home), now=NOON)
        engine.dispose()
        yield url, home
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
