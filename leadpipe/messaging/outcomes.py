"""Writing down what the calls did, at once and for many messages in one transaction.

What lives here: from a channel's result to the message's next state, its attempt and its side effects (a refusal that
is an opt-out or a dead number). What does not: making calls (``drain``), what the provider reports later
(``callbacks``).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from leadpipe.messaging import failpoints, poison, safeguards, suppression
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.batch import Claimed
from leadpipe.messaging.channels.base import Outcome, SendResult
from leadpipe.messaging.channels.codes import Kind, twilio_meaning
from leadpipe.messaging.protocol import Event, Move, State, move_where_legal

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 900.0
# How long messages wait when a person must put something right; the breaker keeps others from trying meanwhile.
MISCONFIGURED_WAIT_SECONDS = 900.0
# How the code of a message begins that no request could be made of.
UNSENDABLE = "unsendable_"

Called = tuple[Claimed, SendResult]


def record(engine: Engine, called: Sequence[Called], *, now: datetime) -> dict[str, int]:
    """Write the outcomes in one transaction and return counts by state.

    If the batch cannot be written as a whole (one provider answered with an id that another message has, or with what
    PostgreSQL cannot store), each is written by itself, and the one that cannot be becomes unknown.
    """
    safeguards.commit_late()
    try:
        with engine.begin() as connection:
            counts = _record(connection, called, now)
            failpoints.hit("outcome.before_commit")
    except Exception as error:
        if not poison.is_of_one_row(error):
            raise
        counts = {}
        for claimed, result in called:
            try:
                with engine.begin() as connection:
                    single = _record(connection, [(claimed, result)], now)
            except Exception as error:
                if not poison.is_of_one_row(error):
                    raise
                is_taken = isinstance(error, IntegrityError)
                code = "provider_id_taken" if is_taken else f"unwritable_{type(error).__name__}"
                with engine.begin() as connection:
                    single = _record(connection, [(claimed, SendResult.unknown(code))], now)
            for state, count in single.items():
                counts[state] = counts.get(state, 0) + count
    failpoints.hit("outcome.committed")
    return counts


_END_ATTEMPTS = text(
    """
    update ledger.attempts a set ended_at = :now, outcome = w.outcome, code = w.code
    from unnest(cast(:ids as bigint[]), cast(:outcomes as text[]), cast(:codes as text[])) as w (id, outcome, code)
    where a.id = w.id
    """
)


# Written before: the commit was made, its answer was lost, and the worker tries again. By now the message may be under
# way anew, with an attempt of its own. One that was given up may still be written: its call knows more.
_WRITTEN = text("select id from ledger.attempts where id = any(:ids) and outcome is not null and outcome <> 'unknown'")


def _record(connection: Connection, called: Sequence[Called], now: datetime) -> dict[str, int]:
    written = set(connection.execute(_WRITTEN, {"ids": [c.attempt_id for c, _ in called]}).scalars())
    counts: dict[str, int] = {"overtaken": len(written)} if written else {}
    called = [(c, r) for c, r in called if c.attempt_id not in written]
    effects = [(c, r) for c, r in called if _has_effect(c, r)]
    # Before any message row, in the order every other transaction takes them. Of calls under way nobody is waited for:
    # they may be this sender's own, and what the provider refused here it refuses there too.
    if effects:
        suppression.lock_point(connection, [c.request.contact_point_id for c, _ in effects], waits=False)
    moves = [_move(claimed, result, now) for claimed, result in called]
    # A callback that overtook the answer has already moved the message further: then there is nothing to add.
    states = _where_moved(connection, moves, at=now)
    connection.execute(
        _END_ATTEMPTS,
        {
            "now": now,
            "ids": [c.attempt_id for c, _ in called],
            "outcomes": [str(r.outcome) for _, r in called],
            "codes": [r.code for _, r in called],
        },
    )
    for claimed, result in effects:
        apply_code(
            connection, claimed.request.contact_point_id, claimed.request.channel, result.code, now=now, waits=False
        )
    for claimed, result in called:
        if result.needs_person:
            _tell(connection, claimed, result, now)
        elif (result.code or "").startswith(UNSENDABLE):
            _tell_unsendable(connection, claimed, result, now)
    for state in states.values():
        counts[state] = counts.get(state, 0) + 1
    return counts


def _where_moved(connection: Connection, moves: Sequence[Move], *, at: datetime) -> dict[str, str]:
    """Make the moves and return each message's state; ``overtaken`` is one that is further already.

    A message given up meanwhile, as a dead worker's, waits again when its call certainly did nothing. One that was put
    before a person ends then: they were told that it is never sent again.
    """
    states = {m.message_id: str(m.to) for m in moves}
    left = move_where_legal(connection, moves, at=at)
    certain = [replace(m, to=State.REFUSED, not_before_at=None) for m in left if m.to is State.HELD]
    states |= dict.fromkeys((m.message_id for m in left), "overtaken") | {m.message_id: str(m.to) for m in certain}
    still = move_where_legal(connection, certain, at=at)
    return states | dict.fromkeys((m.message_id for m in still), "overtaken")


def _move(claimed: Claimed, result: SendResult, now: datetime) -> Move:
    message_id = claimed.request.message_id
    if result.outcome is Outcome.ACCEPTED:
        return Move(
            message_id=message_id,
            event=Event.OUTCOME,
            to=State.ACCEPTED,
            provider_id=result.provider_id,
            is_attempt=True,
        )
    if result.outcome is Outcome.NOT_SENT:
        wait = wait_before_retry(message_id, claimed.count_not_sent, result)
        return Move(
            message_id=message_id,
            event=Event.OUTCOME,
            to=State.HELD,
            code=f"not_sent_{result.code}",
            not_before_at=now + timedelta(seconds=wait),
        )
    to = State.REFUSED if result.outcome is Outcome.REFUSED else State.UNKNOWN
    return Move(message_id=message_id, event=Event.OUTCOME, to=to, code=result.code, is_attempt=True)


def wait_before_retry(message_id: str, count_before: int, result: SendResult) -> float:
    """Seconds until the same call may be made again: what the provider asked, else growing, with jitter.

    The jitter comes from the message and the try, so that a replay computes the same wait.
    """
    if result.needs_person:
        return MISCONFIGURED_WAIT_SECONDS
    grown = min(FIRST_WAIT_SECONDS * 2**count_before, LONGEST_WAIT_SECONDS)
    # Never before what was asked for; the jitter comes on top.
    jitter = random.Random(f"{message_id}:{count_before}").random()  # noqa: S311 - spreads retries, guards nothing
    return max(grown * (0.5 + 0.5 * jitter), result.retry_after_seconds * (1 + 0.2 * jitter))


def _has_effect(claimed: Claimed, result: SendResult) -> bool:
    return (
        result.outcome is Outcome.REFUSED
        and claimed.request.channel != "email"
        and _meaning_kind(result.code) in {Kind.OPT_OUT, Kind.DEAD, Kind.BLOCKED}
    )


def _meaning_kind(code: str | None) -> Kind:
    return twilio_meaning(int(code) if code and code.isdigit() else None).kind


def apply_code(
    connection: Connection, contact_point_id: int, channel: str, code: str | None, *, now: datetime, waits: bool = True
) -> None:
    """What a telephone provider's code means for the number itself, apart from the one message (sheet 1.7).

    ``waits`` as in ``suppression.lock_point``.
    """
    kind = _meaning_kind(code)
    if kind is Kind.DEAD:
        suppression.wrong_number(
            connection, contact_point_id=contact_point_id, source=f"carrier_{code}", at=now, now=now, waits=waits
        )
    elif kind in {Kind.OPT_OUT, Kind.BLOCKED}:
        # An opt-out at the carrier is a STOP: it ends texts and WhatsApp (C9). A block is a fact of one channel.
        is_stop = kind is Kind.OPT_OUT and channel == "sms"
        suppression.suppress(
            connection,
            contact_point_id=contact_point_id,
            channels=suppression.PHONE_CHANNELS if is_stop else (channel,),
            source=str(code) if kind is Kind.OPT_OUT else f"carrier_{code}",
            at=now,
            now=now,
            waits=waits,
        )


def _tell(connection: Connection, claimed: Claimed, result: SendResult, now: datetime) -> None:
    channel = claimed.request.channel
    raise_alert(
        connection,
        kind="provider_refuses",
        dedupe_key=f"provider_refuses:{channel}:{result.code}:{now:%Y-%m-%d}",
        title=f"{channel}: the provider refuses every message (code {result.code})",
        body="Nothing of this channel leaves until settings or account are right. Run `leadpipe doctor`; "
        "messages wait and go by themselves afterwards.",
        now=now,
    )


def _tell_unsendable(connection: Connection, claimed: Claimed, result: SendResult, now: datetime) -> None:
    request = claimed.request
    raise_alert(
        connection,
        kind="unsendable",
        dedupe_key=f"unsendable:{request.channel}:{request.template}:{result.code}:{now:%Y-%m-%d}",
        title=f"{request.channel}: a message could not be put together and was refused",
        body=f"Message {request.message_id} ({result.code}), and maybe others of the same template today: see "
        "`leadpipe messages list --state refused`. This is a fault of leadpipe or of the template.",
        now=now,
    )
