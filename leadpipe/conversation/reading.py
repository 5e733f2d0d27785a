"""Reading a turn: rules first, then a model of OpenAI when there is one, and the local model when it is not to be had.

What lives here: who reads, in which order, and what happens when readers disagree. What does not: each reader
(``classify``, ``openai_reader``, ``local_model``), consequences (``decision``).

A model never clears a refusal that a rule found. When a model sees none and the local reader is nearly certain of one,
it is a refusal: a missed one is worse than a human's second look (C6).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from leadpipe.conversation import classify, local_model, openai_reader, refusal_model
from leadpipe.conversation.classify import SUPPRESS_FROM_DESPITE, Reading
from leadpipe.conversation.openai_client import OpenAiClient, Usage
from leadpipe.conversation.optout import Words
from leadpipe.conversation.qualification import FAMILIES, Fact, facts_in
from leadpipe.conversation.turn import Turn
from leadpipe.errors import ConfigurationError, TransientError

CONCURRENCY = 8
# A picture, or nothing: somebody looks.
WORDLESS = Reading(intent="other", suppress=False, sentiment="neutral", confidence=0.0, reader="keyword")


@dataclass(frozen=True, kw_only=True)
class TurnReading:
    """A turn as read.

    Attributes:
        words: the rule that read it, None when a model did.
        fallback: why the local model read it although a key is set, empty otherwise.
        needs_person: the failure is one that somebody must put right.
    """

    reading: Reading
    words: Words | None = None
    facts: tuple[Fact, ...] = ()
    usages: tuple[Usage, ...] = field(default=())
    fallback: str = ""
    needs_person: bool = False


def read_turns(
    turns: Sequence[Turn], *, before: Sequence[str], client: OpenAiClient | None, now: datetime
) -> list[TurnReading]:
    """Read the turns, several at once; never raises for what a service did.

    Args:
        turns: what to read.
        before: for each turn what we had written last, empty if nothing.
        client: OpenAI, None without a key.
        now: dates "next spring".
    """
    # Read once, before several threads would each do it.
    local_model.load()
    refusal_model.load()
    with ThreadPoolExecutor(CONCURRENCY, "read") as pool:
        return list(
            pool.map(
                lambda pair: read_turn(pair[0], before=pair[1], client=client, now=now), zip(turns, before, strict=True)
            )
        )


def read_turn(turn: Turn, *, before: str, client: OpenAiClient | None, now: datetime) -> TurnReading:
    """Read one turn; see ``read_turns``."""
    facts = tuple(facts_in([(message.id, message.body) for message in turn.messages], now=now))
    words = refusal_in(turn)
    if words is not None:
        return TurnReading(reading=classify.reading_of(words, turn.text), words=words, facts=facts)
    if not turn.text:
        return TurnReading(reading=WORDLESS)
    if client is None:
        return TurnReading(reading=_local(turn), facts=facts)
    return _by_openai(client, turn, before, facts)


def _by_openai(client: OpenAiClient, turn: Turn, before: str, facts: tuple[Fact, ...]) -> TurnReading:
    """The model's reading; the local one when the service is down, refuses, or answers nonsense."""
    if client.is_paused:
        return TurnReading(reading=_local(turn), facts=facts, fallback="service_paused")
    try:
        read = openai_reader.read(client, turn, before=before)
    except TransientError as error:
        return TurnReading(reading=_local(turn), facts=facts, fallback=str(error))
    except ConfigurationError as error:
        return TurnReading(reading=_local(turn), facts=facts, fallback=str(error), needs_person=True)
    usages = (read.answer.usage,)
    if read.reading is None:
        problem = read.answer.problem or "confidence out of range"
        return TurnReading(reading=_local(turn), facts=facts, usages=usages, fallback=f"unusable answer: {problem}")
    return TurnReading(reading=_second_look(turn, read.reading), facts=_merged(facts, read.facts), usages=usages)


def refusal_in(turn: Turn) -> Words | None:
    """A refusal in one of the messages, or in all of them read as one."""
    for text in (*(message.body for message in turn.messages), turn.text):
        words = classify.refusal_in(text)
        if words is not None:
            return words
    return None


def _local(turn: Turn) -> Reading:
    """The local reader's reading: of the whole, or of a part that is a refusal by itself."""
    readings = classify.classify_many([turn.text, *(m.body for m in turn.messages if len(turn.messages) > 1)])
    refusals = [reading for reading in readings if reading.suppress]
    return refusals[0] if refusals else readings[0]


def _second_look(turn: Turn, reading: Reading) -> Reading:
    if reading.suppress:
        return reading
    local = _local(turn)
    if local.suppress and local.confidence >= SUPPRESS_FROM_DESPITE:
        return replace(local, reader=f"{reading.reader}+{local.reader}")
    if local.suppress:
        # The readers disagree and neither is sure enough: a person looks.
        return replace(reading, refusal_probability=local.refusal_probability)
    return reading


def _merged(found: tuple[Fact, ...], told: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Facts by rule, and by the model those of a family the rules saw nothing of."""
    known = {FAMILIES[fact.key] for fact in found}
    return (*found, *(fact for fact in told if FAMILIES[fact.key] not in known))
