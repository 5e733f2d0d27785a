"""The queue: what is to be sent to whom, when, in which words and why, as a table anyone can read.

What lives here: the columns of ``outreach.queue``, the outcomes a row can have, replacing and reading the table. What
does not: who gets a row (``planner``), what becomes of it (``enqueue_planned``).

Grain: one row per person, plan and step of one cohort's latest planning; planning a cohort again replaces its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from leadpipe.store.lake import retried

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

TABLE = "outreach.queue"
# Words and due times of an older planning are no longer true.
PLANNED_WITHIN = timedelta(hours=24)
# Rows of one group in a file that is read part by part.
ROW_GROUP = 10_240
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT = pa.timestamp("us", tz="UTC")
QUEUE_SCHEMA = pa.schema(
    [
        ("planned_run_key", pa.string()),  # hash of cohort, plan version and planning day: the same when planned twice
        ("cohort", pa.date32()),  # first day of the month (UTC) of creation in the CRM
        ("person_id", pa.int64()),
        ("contact_point_id", pa.int64()),
        ("plan", pa.string()),
        ("plan_version", pa.string()),
        ("step", pa.string()),
        ("occurrence", pa.int32()),
        ("channel", pa.string()),
        ("purpose", pa.string()),
        ("template", pa.string()),
        ("template_version", pa.string()),
        ("subject", pa.string()),
        ("body", pa.string()),
        ("variables", pa.string()),  # JSON
        ("due_at", _AT),
        ("score_pct", pa.float64()),
        ("priority_band", pa.string()),
        ("reason", pa.string()),  # in words
        ("outcome", pa.string()),
        ("code", pa.string()),
        ("planned_at", _AT),
    ]
)

# planned: a message is to go. Every other outcome says why none is, with a code.
OUTCOMES = {
    "planned": "a message is to go",
    "not_due": "inside the plan, the next step is due later",
    "waits": "another message to this person is still under way, or another record has the same address",
    "outranked": "a plan of higher priority has this person",
    "no_channel": "no step of the plan has a channel that reaches this person",
    "control_group": "one of the plan's control group, which gets nothing of it",
    "stopped": "stage, pause, refusal or deletion ends every plan",
    "exhausted": "met this plan as often as it allows",
    "not_aged": "spoke with the team, asked or arrived within the aging period",
    "finished": "went through the plan; the next round is not due",
}


class QueueRow(NamedTuple):
    """One row of the queue; the columns of ``QUEUE_SCHEMA`` in their order."""

    planned_run_key: str
    cohort: date
    person_id: int
    contact_point_id: int | None = None
    plan: str = ""
    plan_version: str = ""
    step: str = ""
    occurrence: int | None = None
    channel: str = ""
    purpose: str = ""
    template: str = ""
    template_version: str = ""
    subject: str = ""
    body: str = ""
    variables: str = "{}"
    due_at: datetime | None = None
    score_pct: float | None = None
    priority_band: str | None = None
    reason: str = ""
    outcome: str = ""
    code: str | None = None
    planned_at: datetime | None = None


def as_table(rows: Sequence[QueueRow]) -> pa.Table:
    """The rows as a table of the queue's schema."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in QUEUE_SCHEMA)
    arrays = [pa.array(values, type=column.type) for values, column in zip(columns, QUEUE_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=QUEUE_SCHEMA)


def replace(lake: Lake, fill: Callable[[Path], int], *, cohorts: Sequence[date] | None) -> int:
    """Make the rows that ``fill`` writes the only ones of these cohorts, or of the whole table when that is None.

    They are written to files first, so that neither memory nor the table's lock grows with their number.

    Args:
        lake: where the queue lies.
        fill: writes Parquet files of the queue's schema into the folder it is given, and returns how many rows.
        cohorts: whose rows are replaced.
    """
    lake.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="queue-", dir=lake.home) as folder:
        count = fill(Path(folder))

        def commit() -> int:
            with lake.write(TABLE) as connection:
                connection.register("empty", QUEUE_SCHEMA.empty_table())
                connection.execute(f"create table if not exists {TABLE} as from empty")
                if cohorts is None:
                    connection.execute(f"delete from {TABLE}")  # noqa: S608 - our own name
                else:
                    connection.execute(
                        f"delete from {TABLE} where cohort in (select unnest(?::date[]))",  # noqa: S608 - our own name
                        [list(cohorts)],
                    )
                if count:
                    connection.execute(
                        f"insert into {TABLE} by name from read_parquet(?)",  # noqa: S608 - our own name
                        [f"{folder}/*.parquet"],
                    )
            return count

        return retried(commit, what=f"replace in {TABLE}")


def points_planned(lake: Lake, *, planned_since: datetime, outside: Sequence[date]) -> set[tuple[int, str]]:
    """Contact points and plans that other cohorts' planned rows hold, so that one address is not planned twice."""
    rows = lake.query(
        f"select distinct contact_point_id, plan from {TABLE} "  # noqa: S608 - our own name
        "where outcome = 'planned' and planned_at > ? and cohort not in (select unnest(?::date[]))",
        [planned_since, list(outside)],
    )
    return set(zip(rows["contact_point_id"].to_pylist(), rows["plan"].to_pylist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Extract:
    """Rows of the queue as they stood at one moment, on disk: a planning that replaces them meanwhile changes nothing.

    Attributes:
        planned: file of the rows with the outcome ``planned``.
        others: file of all the others.
    """

    planned: Path
    others: Path

    def parts(self, *, is_planned: bool, count: int) -> Iterator[list[QueueRow]]:
        """Rows in the order they were planned in, ``count`` at a time; memory follows ``count``."""
        yield from parts_of(self.planned if is_planned else self.others, count=count)


def parts_of(path: Path, *, count: int, groups: Sequence[int] | None = None) -> Iterator[list[QueueRow]]:
    """Rows of a file of the queue, ``count`` at a time; of these row groups only, or of all."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=count, row_groups=None if groups is None else list(groups)):
            yield [QueueRow._make(row) for row in zip(*map(_values, batch.columns), strict=True)]


@contextmanager
def extract(lake: Lake, *, planned_since: datetime, cohorts: Sequence[date] | None) -> Generator[Extract]:
    """The queue copied out in one reading, without the lake being held while it is worked on.

    Args:
        lake: where the queue lies.
        planned_since: rows of an earlier planning are passed over.
        cohorts: only these; None reads all.
    """
    lake.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="queue-", dir=lake.home) as folder:
        found = Extract(planned=Path(folder) / "planned.parquet", others=Path(folder) / "others.parquet")
        with lake.connect(read_only=True) as connection:
            connection.begin()
            for path, condition in ((found.planned, "outcome = 'planned'"), (found.others, "outcome <> 'planned'")):
                connection.execute(
                    f"copy (select {', '.join(QUEUE_SCHEMA.names)} from {TABLE} where planned_at >= $since "  # noqa: S608
                    f"and {condition} and ($every or cohort in (select unnest($cohorts::date[])))) "
                    f"to '{path}' (format parquet, row_group_size {ROW_GROUP})",
                    {"since": planned_since, "every": cohorts is None, "cohorts": list(cohorts or ())},
                )
            connection.commit()
        yield found


def _values(column: pa.Array) -> list[Any]:
    """A column as Python values; times by hand, since the libraries take ten times as long for each."""
    if not pa.types.is_timestamp(column.type):
        return column.to_pylist()
    micros = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    made = {value: None if value is None else EPOCH + timedelta(microseconds=value) for value in set(micros)}
    return [made[value] for value in micros]
