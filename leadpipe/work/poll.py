"""The polling pass: what webhooks may have missed, and whether they still come.

What lives here: the order of a pass, and that one failing source stops no other. What does not: reading a source
(``crm.sync``, ``gateway.catch_up``), reading long histories to their end (``work.history``), the walk over every id
(``work.sweep``), answering a lead (``work.unanswered``, ``work.first_touch``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.crm import action_plans, children, compare, edits, tables, totals, touched, watermark
from leadpipe.crm.history import History
from leadpipe.crm.passes import Pass
from leadpipe.crm.sync import ACTIVITY, SMALL, Sync
from leadpipe.crm.tables import RawTable
from leadpipe.errors import ConfigurationError, LeadpipeError
from leadpipe.messaging import reputation
from leadpipe.messaging.alerts import raise_alert
from leadpipe.readiness import refuse_unready
from leadpipe.work import catching_up, hooks
from leadpipe.work.audit import sides
from leadpipe.work.polled import Polled
from leadpipe.work.refusals import read_refusals
from leadpipe.work.sweep import sweep_ids
from leadpipe.work.unanswered import answer_unanswered

if TYPE_CHECKING:
    from leadpipe.messaging.channels.base import Channel
    from leadpipe.runtime import Runtime

# A source that failed for so long is a person's business; before that it may be a restart at the other end.
TELL_AFTER = timedelta(minutes=15)
MAX_CONVERSATIONS = 500
# Lists that cost a request a page and change slowly are asked for every few minutes.
SLOW = timedelta(minutes=5)
HOURLY = timedelta(hours=1)
# A pass reads no longer in a history: enough for a small account's, and a large one's has a run of its own.
HISTORY_SECONDS = 8.0


def poll(runtime: Runtime, *, channels: dict[str, Channel] | None = None) -> Polled:
    """Read what changed at the CRM and at the senders since the last pass, and answer whom no webhook told of.

    People found by the first pass are never welcomed. A source that fails leaves its watermark where it was, so the
    next pass reads the same again; a refused key, or a source failing for a quarter of an hour, is told to a person.

    Raises:
        ConfigurationError: sending is live and settings are missing that it needs; nothing was read, no mark moved.
    """
    from leadpipe.outreach.golive import go_live_at, record_go_live

    refuse_unready(runtime.settings)
    report = Polled()
    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        record_go_live(connection, now)
        live_at = go_live_at(connection, runtime.settings) or now
    _Pass(runtime, report, channels, now, live_at).run()
    return report


class _Pass:
    """One pass over every source, in the order that serves a waiting lead first."""

    def __init__(
        self,
        runtime: Runtime,
        report: Polled,
        channels: dict[str, Channel] | None,
        now: datetime,
        live_at: datetime,
    ) -> None:
        self._runtime, self._report, self._channels = runtime, report, channels
        self._now, self._live_at = now, live_at
        self._keeper = runtime.keeper
        self._sync = Sync(self._keeper)
        # After a take-over everything is asked for at once: messages wait for it.
        self._is_catching_up = catching_up.is_due(runtime)
        self._people: set[int] = set()
        self._human: set[int] = set()

    def run(self) -> None:
        """Read, then answer, then look after the rest."""
        from leadpipe.gateway import catch_up, stored_mail

        # The marks come before the long first read of everyone: from then on the histories can be read beside it.
        unread = [table for table in ACTIVITY if not self._sync.has_mark(table)]
        self._each(unread, self._read_activity)
        self._each(unread, self._read_edits, what="_edited")
        self._step("people", self._read_people)
        known = [table for table in ACTIVITY if table not in unread]
        self._each(known, self._read_activity)
        self._each(known, self._read_edits, what="_edited")
        self._step("people_touched", self._read_touched)
        self._step("conversations", self._read_conversations)
        self._step("totals", self._find_gone)
        self._step("children", self._follow_children)
        self._step("answers", self._answer)
        self._each(ACTIVITY, self._read_history, what="_history")
        self._step("small", lambda: self._report.add(self._sync.whole(SMALL, now=self._now)))
        self._step("unsubscribes", self._read_unsubscribes)
        self._step("webhooks", self._check_webhooks, every=SLOW)
        self._step("action_plans", self._count_action_plans, every=HOURLY)
        self._step("twilio", lambda: self._recover(catch_up.twilio_inbound))
        self._step("ses", lambda: self._recover(catch_up.ses_suppressions), every=SLOW)
        self._step("mail", lambda: self._recover(stored_mail.ses_inbound), every=SLOW)
        self._step("sns", lambda: self._recover(catch_up.sns_optouts), every=SLOW)
        self._step("reports", lambda: self._recover(catch_up.failed_reports))
        self._step("email_rates", self._look_at_email)
        self._step("catching_up", self._finish_catching_up)

    def _step(self, name: str, read: Callable[[], None], *, every: timedelta = timedelta(0)) -> None:
        # A version read by a later step lies beyond one read by an earlier step.
        self._now = self._runtime.clock.now()
        source, now = f"poll:{name}", self._now
        last = watermark.read(self._runtime.engine, source)
        if last is not None and every and now - last < every and not self._is_catching_up:
            return
        try:
            read()
        except LeadpipeError as error:
            self._report.failures.append(f"{name}: {error}")
            self._tell(name, error, last)
            return
        watermark.write(self._runtime.engine, source, now, now=now)

    def _each(self, wanted: Iterable[RawTable], read: Callable[[RawTable], None], *, what: str = "") -> None:
        for table in wanted:
            self._step(f"{table.collection}{what}", lambda table=table: read(table))

    def _tell(self, name: str, error: LeadpipeError, last: datetime | None) -> None:
        is_refused = isinstance(error, ConfigurationError)
        if not is_refused and self._now - (last or self._live_at) < TELL_AFTER:
            return
        # One alert a day and provider for a refused key: every list of that provider fails by it.
        about = f"refused:{str(error).partition(' ')[0]}" if is_refused else name
        with self._runtime.engine.begin() as connection:
            raise_alert(
                connection,
                kind="poll_failed",
                dedupe_key=f"poll_failed:{about}:{self._now:%Y-%m-%d}",
                title=f"{name} cannot be read",
                body=f"{error}. Nothing is lost: it is read again from where it stopped. `leadpipe doctor` names "
                f"what is wrong.",
                now=self._now,
            )

    def _read_people(self) -> None:
        read = self._sync.people(now=self._now)
        self._report.add(read)
        self._report.is_first = read.is_first
        self._report.count_people += len(read.person_ids)
        self._report.count_new += len(read.new_ids)
        if not read.is_first:
            self._people |= set(read.new_ids)
        self._human |= set(read.human_ids)

    def _read_activity(self, table: RawTable) -> None:
        read = self._sync.activity(table, now=self._now)
        self._report.add(read)
        if not read.is_first:
            self._people |= {inquiry.person_id for inquiry in read.new_inquiries}
        self._human |= set(read.human_ids)

    def _read_history(self, table: RawTable) -> None:
        from leadpipe.conversation.takeover import pause_for_people

        read = Pass()
        is_over = History(self._keeper, clock=self._runtime.clock).read(table, read, seconds=HISTORY_SECONDS)
        self._report.is_history_complete = self._report.is_history_complete and is_over
        self._report.add(read)
        pause_for_people(self._runtime.engine, read.human_ids, settings=self._runtime.settings, now=self._now)

    def _read_edits(self, table: RawTable) -> None:
        runtime = self._runtime
        read = edits.edited(
            table,
            crm=runtime.crm,
            lake=runtime.lake,
            engine=runtime.engine,
            now=self._now,
            settings=runtime.settings,
        )
        self._report.add(read)

    def _read_touched(self) -> None:
        """People whose own fields moved with a text, call, email or inquiry, and the texts behind it."""
        runtime = self._runtime
        read = touched.touched(
            crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, settings=runtime.settings, now=self._now
        )
        self._report.add(read)
        if not self._report.is_first:
            self._people |= set(read.new_ids)
        self._human |= set(read.human_ids)

    def _follow_children(self) -> None:
        """Records of people who were deleted, merged or moved to Trash."""
        runtime = self._runtime
        done = children.follow(crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, now=self._now)
        self._report.count_landed(done.count_by_table)
        self._report.count_gone += done.count_gone

    def _find_gone(self) -> None:
        """Deletions no webhook told of, where a list says that it holds fewer records than we do."""
        runtime = self._runtime
        for table in totals.shrunk(crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, now=self._now):
            if table is tables.PEOPLE:
                self._report.count_gone += len(sweep_ids(runtime, now=self._now).gone_ids)
            else:
                met = compare.compare(table, sides(runtime))
                self._report.count_gone += met.count("gone")
                self._human |= set(met.human_ids)
            totals.settle(table, crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, now=self._now)

    def _read_conversations(self) -> None:
        """The texts and the own fields of people we talk with: neither moves ``updated`` (FUB sheet 3.3)."""
        with self._runtime.engine.connect() as connection:
            ids = connection.execute(
                text(
                    "select person_id from ledger.conversations where state in ('open', 'handed_off') "
                    "order by changed_at desc limit :most"
                ),
                {"most": MAX_CONVERSATIONS},
            ).scalars()
            people = list(ids)
        read = self._sync.conversations(people, now=self._now)
        self._report.add(read)
        self._human |= set(read.human_ids)

    def _answer(self) -> None:
        channels = self._channels if self._channels is not None else self._runtime.channels
        self._report.count_answered = answer_unanswered(
            self._runtime, self._people, self._human, channels, now=self._now
        )

    def _read_unsubscribes(self) -> None:
        self._report.count_unsubscribes += read_refusals(self._runtime, self._sync, now=self._now)

    def _recover(self, ask: Callable[[Runtime], int]) -> None:
        self._report.count_recovered += ask(self._runtime)

    def _look_at_email(self) -> None:
        """Whether too much of our email comes back: then marketing email rests."""
        reputation.look(self._runtime.engine, self._runtime.settings, now=self._now)

    def _finish_catching_up(self) -> None:
        catching_up.finish(self._runtime)

    def _check_webhooks(self) -> None:
        self._report.hooks_wrong = hooks.look(self._runtime, now=self._now)

    def _count_action_plans(self) -> None:
        self._report.count_action_plans_running = action_plans.report_running(
            self._runtime.crm, self._runtime.engine, now=self._now
        )
