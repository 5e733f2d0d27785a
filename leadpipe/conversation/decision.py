"""What a reading leads to: plans, pause, hand-off, CRM, answer. Pure, so that every case is one row of a test.

What lives here: the table from intent to consequences. What does not: writing them (``effects``), words of an answer
(``drafting``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leadpipe.conversation import topics
from leadpipe.conversation.classify import Reading

# Below this a reading of free words is a guess, and a person looks.
UNCLEAR_BELOW = 0.4
# A refusal read from free words with less than this is carried out, and a person is told (C6).
SURE_REFUSAL = 0.9
# Pauses that the lead's own words brought.
OWN_WORDS = frozenset({"not_interested", "later"})


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from one turn.

    Attributes:
        event: told to the plans (``outreach.events``); None tells them nothing.
        pause: automation pauses for the person, with this reason.
        handoff: the assigned agent takes over, for this reason (``handoff.REASONS``).
        tags: for the CRM.
        moves_stage: the CRM's stage becomes the one for people who are not interested.
        state: of the conversation, with ``awaits`` (lead, agent, nobody) and ``reason``.
        answer: which rule-built answer fits (``drafting``); empty: none is given.
        may_draft: a model may write what a person then releases.
        lifts_pause: the lead's own new words end the pause that their own words brought.
        tell: the agent gets one task for this reason (``handoff.REASONS``), without reminders.
    """

    event: str | None = "reply"
    pause: str = ""
    handoff: str = ""
    tags: tuple[str, ...] = ()
    moves_stage: bool = False
    state: str = "open"
    awaits: str = "nobody"
    reason: str = ""
    answer: str = ""
    may_draft: bool = False
    lifts_pause: bool = False
    tell: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether nothing may be sent after it."""
        return self.event == "opt_out" or self.reason == "wrong_number"


_BY_INTENT: dict[str, Decision] = {
    "opt_out": Decision(event="opt_out", tags=("leadpipe opt-out",), state="closed", reason="opt_out"),
    "wrong_number": Decision(
        event=None, tags=("leadpipe wrong number",), state="closed", reason="wrong_number", tell="contact_check"
    ),
    "complaint": Decision(
        event="opt_out",
        pause="complaint",
        handoff="complaint",
        tags=("leadpipe complaint",),
        state="handed_off",
        awaits="agent",
        reason="complaint",
    ),
    # No legal opt-out; a person should still look whether it was meant as one (C6).
    "not_interested": Decision(
        event="not_interested",
        pause="not_interested",
        tags=("leadpipe not interested",),
        moves_stage=True,
        state="paused",
        awaits="agent",
        reason="not_interested",
    ),
    "later": Decision(pause="later", tags=("leadpipe later",), state="paused", reason="later"),
    "interested": Decision(
        event="positive_reply",
        handoff="interested",
        tags=("leadpipe interested",),
        state="handed_off",
        awaits="agent",
        reason="interested",
        answer="interested",
    ),
    "appointment": Decision(
        event="positive_reply",
        handoff="appointment",
        tags=("leadpipe interested",),
        state="handed_off",
        awaits="agent",
        reason="appointment",
        answer="appointment",
    ),
    "question": Decision(
        event="positive_reply",
        handoff="question",
        state="handed_off",
        awaits="agent",
        reason="question",
        answer="question",
        may_draft=True,
    ),
    # Another agent's client is left alone.
    "has_agent": Decision(
        event="not_interested", pause="has_agent", tags=("leadpipe has agent",), state="paused", reason="has_agent"
    ),
    "human": Decision(handoff="human", state="handed_off", awaits="agent", reason="human", answer="human"),
    "other": Decision(reason="other"),
}


# Nothing goes out until a person has read it and said `leadpipe conversation resume`, or wrote themselves.
MAYBE_REFUSAL = Decision(
    pause="maybe_refusal", handoff="maybe_refusal", state="handed_off", awaits="agent", reason="maybe_refusal"
)


def decide(reading: Reading, text: str, *, is_with_agent: bool = False, paused_by: str = "") -> Decision:
    """The consequences of a reading.

    Args:
        reading: what the turn means.
        text: its words, for subjects that people must handle.
        is_with_agent: a hand-off is open, so small talk leaves the conversation with the agent.
        paused_by: why automation is paused, empty when it is not.
    """
    decision = _BY_INTENT[reading.intent]
    if reading.suppress:
        return decision
    topic = topics.topic_of(text)
    if reading.is_doubtful:
        decision = MAYBE_REFUSAL
    elif topic:
        decision = _for_people(decision, topic)
    elif reading.intent == "other" and reading.confidence < UNCLEAR_BELOW:
        decision = replace(decision, handoff="unclear", state="handed_off", awaits="agent", reason="unclear")
    elif is_with_agent and reading.intent == "other":
        decision = replace(decision, state="handed_off", awaits="agent", reason="wrote_to_agent")
    return _while_paused(decision, paused_by) if paused_by and not decision.pause else decision


def _while_paused(decision: Decision, paused_by: str) -> Decision:
    """Nothing is answered while automation is paused; a pause by the lead's own words ends by their own words."""
    is_own = paused_by in OWN_WORDS
    if is_own and decision.event == "positive_reply":
        return replace(decision, lifts_pause=True)
    handoff = decision.handoff or ("" if is_own else "wrote_to_agent")
    return replace(
        decision,
        event="reply",
        handoff=handoff,
        state="paused",
        awaits="agent" if handoff else "nobody",
        reason=handoff or paused_by,
        answer="",
        may_draft=False,
    )


def _for_people(decision: Decision, topic: str) -> Decision:
    """A person answers; the assistant says at most that it passed the message on."""
    is_silent = topic in topics.SILENT
    return replace(
        decision,
        event="not_interested" if is_silent else decision.event,
        pause=topic if is_silent else decision.pause,
        handoff=topic,
        state="handed_off",
        awaits="agent",
        reason=topic,
        answer="" if is_silent or decision.pause else ("neighbourhood" if topic == "neighbourhood" else "passed_on"),
        may_draft=False,
    )
