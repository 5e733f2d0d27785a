"""Writing back to Follow Up Boss: journalled first, looked up before a second try, inside FUB's limits.

What lives here: the loop that carries out what was journalled, and what each error means for a write. What does not:
the journal (``writeback_journal``), the calls (``writeback_calls``), deciding what to write (``conversation``,
``scoring``), pacing (``ratelimit``).

There is no idempotency key (FUB sheet section 7), so a note and a task carry a marker in their text, and a row found
in ``sending`` after a crash is looked up by it. Tags merge, fields and stages are plain values: repeating them is safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from leadpipe.crm import custom_fields
from leadpipe.crm.writeback_calls import MARKED, Overtaken, write
from leadpipe.crm.writeback_journal import claim, count_waiting, end, give_back, try_later, wait_for_fields
from leadpipe.errors import (
    AmbiguousError,
    ConfigurationError,
    PermanentError,
    RateLimited,
    TransientError,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.crm.client import FubClient

# Notes go at 10 per 10 s for every user of the account; a write-back run takes at most half of a minute's share.
BATCH = 30
MOVED_IN_CRM = "moved_in_crm"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What one pass did, and how many still wait (a backlog is shown, and is not lost).

    ``stopped_by`` is ``configuration`` when the key is refused: then everything waits for a person.
    """

    count_done: int
    count_failed: int
    count_retry: int
    count_waiting: int
    stopped_by: str = ""

    def as_metadata(self) -> dict[str, int | str]:
        """Counts for Dagster."""
        return {
            "done": self.count_done,
            "failed": self.count_failed,
            "retry": self.count_retry,
            "waiting": self.count_waiting,
            "stopped_by": self.stopped_by,
        }


def carry_out(*, engine: Engine, crm: FubClient, clock: Clock, worker: str, limit: int = BATCH) -> Written:
    """Carry out up to ``limit`` waiting writes, best first; a failure of one leaves the others alone."""
    done = failed = retry = 0
    stopped_by = ""
    lacking: tuple[str, ...] = ()
    for row in claim(engine, worker, clock.now(), limit):
        if stopped_by:
            give_back(engine, row)
            continue
        if row["kind"] == "fields" and set(lacking) & set(row["payload"]):
            wait_for_fields(engine, row, now=clock.now())
            retry += 1
            continue
        try:
            crm_id = write(crm, row)
        except Overtaken:
            end(engine, row, state="superseded", code=MOVED_IN_CRM, crm_id=None, now=clock.now())
            done += 1
        except ConfigurationError as error:
            # Every other write would fail the same way; none of them is at fault.
            stopped_by = "configuration"
            give_back(engine, row)
            _tell(engine, error, now=clock.now())
        except RateLimited as error:
            # Certainly not taken.
            wait = timedelta(seconds=error.retry_after_seconds)
            try_later(engine, row, code="RateLimited", now=clock.now(), is_unsure=row["was_sending"], at_least=wait)
            retry += 1
        except (AmbiguousError, TransientError) as error:
            # It may be there: a note or task stays in `sending`, and the next pass looks it up by its marker first.
            is_unsure = row["was_sending"] or row["kind"] in MARKED
            try_later(engine, row, code=type(error).__name__, now=clock.now(), is_unsure=is_unsure)
            retry += 1
        except PermanentError as error:
            unknown = custom_fields.named_in(str(error)) if row["kind"] == "fields" else ()
            if unknown:
                lacking = unknown
                wait_for_fields(engine, row, now=clock.now())
                _tell_fields(engine, lacking, now=clock.now())
                retry += 1
                continue
            end(engine, row, state="failed", code=str(error)[:200], crm_id=None, now=clock.now())
            failed += 1
        else:
            end(engine, row, state="done", code=None, crm_id=crm_id, now=clock.now())
            done += 1
    return Written(
        count_done=done,
        count_failed=failed,
        count_retry=retry,
        count_waiting=count_waiting(engine),
        stopped_by=stopped_by,
    )


def _tell_fields(engine: Engine, names: Sequence[str], *, now: datetime) -> None:
    from leadpipe.messaging.alerts import raise_alert

    with engine.begin() as connection:
        raise_alert(
            connection,
            kind="crm_fields_missing",
            dedupe_key=f"crm_fields_missing:{now:%Y-%m-%d}",
            title="Follow Up Boss has no field for our scores",
            body=f"The account does not know {', '.join(names)}. Run `leadpipe webhooks install`, which creates "
            "what is missing; the scores wait and are written within an hour of it.",
            now=now,
        )


def _tell(engine: Engine, error: ConfigurationError, *, now: datetime) -> None:
    from leadpipe.messaging.alerts import raise_alert

    with engine.begin() as connection:
        raise_alert(
            connection,
            kind="crm_refuses",
            dedupe_key=f"crm_refuses:{now:%Y-%m-%d}",
            title="Follow Up Boss refuses our writes; notes, tasks and scores wait",
            body=f"{error}. Nothing is lost: the journal goes on when the key is right.",
            now=now,
        )
