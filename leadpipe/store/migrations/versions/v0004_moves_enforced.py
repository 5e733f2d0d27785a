"""The database refuses a move that the send protocol does not have, and keeps the log of moves as it was written.

The conditions stand in the triggers as constants: a row that is in order costs one comparison and no function call, and
COPY keeps writing many rows at once, which a trigger before the row would end. ``ledger.message_moves`` is the same
table of moves for people and for the errors' words.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# As of this revision, from ``messaging.protocol``; a change there needs a migration (a test compares the two).
MOVES = (
    ("enqueue", "", "queued held blocked review"),
    ("claim", "queued held", "held blocked review sending"),
    ("outcome", "sending", "held accepted refused unknown cancelled"),
    ("outcome", "unknown parked", "accepted refused"),
    ("recover", "sending", "unknown"),
    ("callback", "sending unknown parked", "accepted sent delivered undelivered bounced complained refused"),
    ("callback", "accepted", "sent delivered undelivered bounced complained refused"),
    ("callback", "sent", "delivered undelivered bounced complained"),
    ("callback", "delivered", "bounced complained"),
    ("callback", "bounced", "complained"),
    ("reconcile", "accepted", "sent delivered undelivered bounced complained refused"),
    ("reconcile", "sent", "delivered undelivered bounced complained"),
    ("reconcile", "unknown", "accepted sent delivered undelivered bounced complained refused parked"),
    ("reconcile", "parked", "accepted sent delivered undelivered bounced complained refused"),
    ("release", "review", "queued held blocked review"),
    ("reject", "review", "cancelled"),
    ("resolve", "unknown parked", "accepted refused"),
    ("cancel", "queued held review", "cancelled"),
    ("expire", "queued held review", "expired"),
)
NOTES = ("looked_up",)
NEED_REASON = ("blocked", "review", "refused", "unknown", "parked", "cancelled", "expired")

_REFUSE = """
create function ledger.refuse_move() returns trigger language plpgsql as $$
declare
  was text;
begin
  if tg_argv[0] = 'reason' then
    raise exception 'message %: it may not become % without a reason', new.id, new.state using errcode = 'LP001';
  elsif tg_argv[0] = 'event' then
    raise exception 'message %: % does not lead from % to %', new.message_id, new.event,
      coalesce(new.from_state, 'nothing'), new.to_state using errcode = 'LP001';
  end if;
  if tg_op = 'UPDATE' then
    was := old.state;
  end if;
  raise exception 'message %: no event leads from % to %', new.id, coalesce(was, 'nothing'), new.state
    using errcode = 'LP001', hint = 'From there: ' || coalesce((
      select string_agg(distinct to_state, ', ') from ledger.message_moves where from_state is not distinct from was
    ), 'nothing');
end
$$
"""
_KEEP = """
create function ledger.keep_as_written() returns trigger language plpgsql as $$
begin
  raise exception 'ledger.% is append-only: its rows are neither changed nor removed', tg_table_name
    using errcode = 'LP002';
end
$$
"""


def upgrade() -> None:
    """Apply."""
    table = op.create_table(
        "message_moves",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.UniqueConstraint(
            "event",
            "from_state",
            "to_state",
            name=op.f("uq_message_moves_event_from_state_to_state"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="ledger",
    )
    every = [
        (event, before, after)
        for event, befores, afters in MOVES
        for before in befores.split() or [None]
        for after in afters.split()
    ]
    op.bulk_insert(table, [{"event": e, "from_state": b, "to_state": a} for e, b, a in every])
    op.execute(_REFUSE)
    op.execute(_KEEP)

    first = _array(a for _, b, a in every if b is None)
    pairs = _array(f"{b}>{a}" for _, b, a in every if b)
    triples = _array(f"{e}:{b or ''}>{a}" for e, b, a in every)
    needs = f"new.state = any({_array(NEED_REASON)}) and coalesce(new.code, '') = ''"
    for name, on, condition, argument in (
        ("first_state", "insert on ledger.messages", f"new.state <> all({first})", "state"),
        (
            "next_state",
            "update of state on ledger.messages",
            f"old.state <> new.state and (old.state || '>' || new.state) <> all({pairs})",
            "state",
        ),
        ("reason", "insert or update of state, code on ledger.messages", needs, "reason"),
        (
            "move",
            "insert on ledger.message_events",
            f"(new.event || ':' || coalesce(new.from_state, '') || '>' || new.to_state) <> all({triples}) "
            f"and not (new.event = any({_array(NOTES)}) and new.from_state is not distinct from new.to_state)",
            "event",
        ),
    ):
        op.execute(
            f"create trigger {name} after {on} for each row when ({condition}) "
            f"execute function ledger.refuse_move('{argument}')"
        )
    op.execute(
        "create trigger keep_rows before update or delete on ledger.message_events "
        "for each row execute function ledger.keep_as_written()"
    )
    op.execute(
        "create trigger keep_table before truncate on ledger.message_events "
        "for each statement execute function ledger.keep_as_written()"
    )


def _array(words: Iterable[str]) -> str:
    # In order of first mention, once each: the same migration writes the same trigger everywhere.
    quoted = ", ".join(f"'{word}'" for word in dict.fromkeys(words))
    return f"array[{quoted}]"
