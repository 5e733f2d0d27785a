"""A message that was given up waits again when the call of its one attempt certainly did nothing.

The conditions of the two triggers that hold the moves are written anew, from the table of moves as it stands now.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# As of this revision, from ``messaging.protocol``; a change there needs a migration (a test compares the two).
NEW = (("outcome", "unknown", "held"),)
NOTES = ("looked_up",)


def upgrade() -> None:
    """Apply."""
    for event, before, after in NEW:
        op.execute(
            sa.text("insert into ledger.message_moves (event, from_state, to_state) values (:e, :b, :a)").bindparams(
                e=event, b=before, a=after
            )
        )
    found = op.get_bind().execute(
        sa.text(
            "select event, coalesce(from_state, '') as before, to_state as after from ledger.message_moves order by 1, 2, 3"
        )
    )
    moves = [(row.event, row.before, row.after) for row in found]
    pairs = _array(f"{before}>{after}" for _, before, after in moves if before)
    triples = _array(f"{event}:{before}>{after}" for event, before, after in moves)
    for name, table, moment, condition, argument in (
        (
            "next_state",
            "messages",
            "update of state",
            f"old.state <> new.state and (old.state || '>' || new.state) <> all({pairs})",
            "state",
        ),
        (
            "move",
            "message_events",
            "insert",
            f"(new.event || ':' || coalesce(new.from_state, '') || '>' || new.to_state) <> all({triples}) "
            f"and not (new.event = any({_array(NOTES)}) and new.from_state is not distinct from new.to_state)",
            "event",
        ),
    ):
        op.execute(f"drop trigger {name} on ledger.{table}")
        op.execute(
            f"create trigger {name} after {moment} on ledger.{table} for each row when ({condition}) "
            f"execute function ledger.refuse_move('{argument}')"
        )


def _array(words: Iterable[str]) -> str:
    quoted = ", ".join(f"'{word}'" for word in dict.fromkeys(words))
    return f"array[{quoted}]"
