"""Killing by the script: one lane for each kind of process, side by side.

What lives here: from a moment of the script to a death, at a step or at once. What does not: the script (``script``),
the processes (``world``), what a step is (``messaging.failpoints``).

Steps are chosen by hunger: those hit least so far get the traps, so that rare ones are met as often as common ones.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leadpipe.chaos.script import Kind, moments
from leadpipe.errors import LeadpipeError
from leadpipe.messaging.failpoints import GATEWAY, MYSELF, RUNS, WORKER
from leadpipe.messaging.safeguards import ATTEMPT_COMMIT

if TYPE_CHECKING:
    from leadpipe.chaos.script import Moment
    from leadpipe.chaos.traps import Traps
    from leadpipe.chaos.world import ChaosWorld

ROOM_OF = {Kind.WORKER: Kind.WORKER, Kind.GATEWAY: Kind.GATEWAY, Kind.DAEMON: "runs"}
NAMES_OF = {Kind.WORKER: tuple(WORKER), Kind.GATEWAY: tuple(GATEWAY), Kind.DAEMON: tuple(RUNS)}
# Longest pause between two kills of one kind; they add up to about the same time for each.
LONGEST_WAIT_SECONDS = {Kind.WORKER: 1.0, Kind.GATEWAY: 3.0, Kind.POSTGRES: 8.0, Kind.DAEMON: 8.0}
# How long traps wait to be struck before the kill happens anyway. A run looks an unknown message up once in minutes;
# with 10 to 25 seconds half of a thousand kills fell between steps, and the rare ones were met 11 to 16 times.
PATIENCE_SECONDS = {Kind.WORKER: 20.0, Kind.GATEWAY: 30.0, Kind.POSTGRES: 45.0, Kind.DAEMON: 60.0}
# Where providers took nothing for so long, nobody comes past a trap either.
STILL_SECONDS = 15.0
# Of two traps the one that comes first on a message's way is always struck. What a run does is rarer than what workers
# do, so all of its hungry steps get traps at once: the common ones soon are not hungry any more.
TRAPS_AT_ONCE = {Kind.WORKER: 1, Kind.GATEWAY: 1, Kind.POSTGRES: 3, Kind.DAEMON: 6}
# A step is hungry while it was hit at most so many times more than the one hit least.
HUNGRY_WITHIN = 1
# So far may one lane be ahead of the slowest; lanes of a few kills hold nobody up.
LEAD, MANY = 0.05, 20
# Messages that providers took for each kill, after the first few; a lane waits for neither longer than this.
MESSAGES_A_KILL, HEAD_START = 5, 20
LONGEST_PAUSE_SECONDS = 20.0
LOOK_SECONDS = 0.02


@dataclass(kw_only=True)
class Kills:
    """All lanes of one run.

    Attributes:
        counts: deaths by kind so far.
        failures: what kept a lane from going on.
        count_messages: what the providers took so far, as whoever watches tells (``saw``).
    """

    world: ChaosWorld
    seed: int
    planned: dict[Kind, int]
    counts: Counter[Kind] = field(default_factory=Counter[Kind])
    failures: list[str] = field(default_factory=list[str])
    count_messages: int = 0
    _grew_at: float = field(default_factory=time.monotonic)
    _lanes: list[threading.Thread] = field(default_factory=list[threading.Thread])
    _traps: threading.Lock = field(default_factory=threading.Lock)

    def start(self, stop: threading.Event) -> None:
        """Begin to kill; ``is_over`` tells when the script is through."""
        for kind, count in self.planned.items():
            lane = threading.Thread(target=self._lane, args=(kind, count, stop), daemon=True, name=f"kill-{kind}")
            self._lanes.append(lane)
            lane.start()

    def saw(self, count_messages: int) -> None:
        """Take note of how many messages the providers took so far."""
        if count_messages != self.count_messages:
            self.count_messages, self._grew_at = count_messages, time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether every lane has come to its end."""
        return not any(lane.is_alive() for lane in self._lanes)

    @property
    def share_done(self) -> float:
        """How much of the script is through."""
        return self.counts.total() / max(1, sum(self.planned.values()))

    def hits(self) -> Counter[str]:
        """Hits by step, of all rooms."""
        found: Counter[str] = Counter()
        for traps in self.world.traps.values():
            found.update(traps.counts())
        return found

    def _lane(self, kind: Kind, count: int, stop: threading.Event) -> None:
        dice = random.Random(f"{self.seed}:{kind}:steps")  # noqa: S311 - a script to repeat, no secret
        script = iter(moments(kind, count=count, seed=self.seed))
        try:
            while self.counts[kind] < count and not stop.is_set():
                moment = next(script, None)
                if moment is None:
                    return
                stop.wait(moment.wait_share * LONGEST_WAIT_SECONDS[kind])
                self._keep_pace(kind, stop)
                self.world.wait_until_back(kind, stop=stop)
                died = self._die_at_step(kind, dice, stop) if moment.is_at_step else 0
                self.counts[kind] += died or self._die_now(kind, moment, stop)
        except LeadpipeError as error:
            self.failures.append(f"{kind}: {error}")

    def _keep_pace(self, kind: Kind, stop: threading.Event) -> None:
        """Wait for slower lanes and for messages: a machine that is busy only restarting tests nothing."""
        deadline = time.monotonic() + LONGEST_PAUSE_SECONDS
        while self._is_ahead(kind) or self.count_messages < MESSAGES_A_KILL * (self.counts.total() - HEAD_START):
            if time.monotonic() > deadline or stop.wait(LOOK_SECONDS):
                return

    def _is_ahead(self, kind: Kind) -> bool:
        """Whether this lane should let the slower ones catch up, so that all kinds die until the end."""
        shares = [
            self.counts[other] / count for other, count in self.planned.items() if other != kind and count >= MANY
        ]
        return bool(shares) and self.counts[kind] / self.planned[kind] > min(shares) + LEAD

    def _die_now(self, kind: Kind, moment: Moment, stop: threading.Event) -> int:
        while not self.world.kill(kind, moment.luck):
            if stop.wait(0.1):
                return 0
        return 1

    def _die_at_step(self, kind: Kind, dice: random.Random, stop: threading.Event) -> int:
        """Set traps and wait for one to be struck; how many were, 0 when nobody came past."""
        victim = MYSELF
        if kind is Kind.POSTGRES:
            postmaster = self.world.postmaster()
            if postmaster is None:
                return 0
            victim = str(postmaster)
        rooms = [kind] if kind is not Kind.POSTGRES else list(ROOM_OF)
        before = self._struck(kind, rooms)
        places = self._set_traps(rooms, victim, dice, TRAPS_AT_ONCE[kind])
        begun = time.monotonic()
        deadline = begun + PATIENCE_SECONDS[kind]
        while all(t.is_set(name) for t, name in places) and not stop.is_set():
            if time.monotonic() > min(deadline, max(self._grew_at, begun) + STILL_SECONDS):
                break
            time.sleep(LOOK_SECONDS)
        with self._traps:
            for traps, name in places:
                traps.clear([name])
        # A second one may have been struck while the first was being noticed.
        return self._struck(kind, rooms) - before

    def _names(self, room: Kind) -> tuple[str, ...]:
        """The steps of a room; without a committed attempt the one at which it would be missed."""
        return ("call.answered",) if room is Kind.WORKER and ATTEMPT_COMMIT in self.world.without else NAMES_OF[room]

    def _set_traps(self, rooms: list[Kind], victim: str, dice: random.Random, count: int) -> list[tuple[Traps, str]]:
        hits = self.hits()
        with self._traps:
            free = [
                (self.world.traps[ROOM_OF[room]], name)
                for room in rooms
                for name in self._names(room)
                if not self.world.traps[ROOM_OF[room]].is_set(name)
            ]
            dice.shuffle(free)
            places = sorted(free, key=lambda place: hits[place[1]])[:count]
            places = [place for place in places if hits[place[1]] <= hits[places[0][1]] + HUNGRY_WITHIN]
            for traps, name in places:
                traps.set(name, victim)
        return places

    def _struck(self, kind: Kind, rooms: list[Kind]) -> int:
        of_others = kind is Kind.POSTGRES
        return sum(self.world.traps[ROOM_OF[room]].counts(of_others=of_others).total() for room in rooms)
