"""From a decision to the messages that answer a turn.

What lives here: what is known of the person for an answer, the rule-built answer, the model's draft for review, as
intents. What does not: the words (``answers``, ``openai_writer``), sending (``messaging``).

An answer goes by the channel and to the address the lead wrote from. Rule-built answers may go at once; a model's words
wait for a person unless the plan that brought the lead says ``model_text: send``. A question that rules cannot answer
gets both: "passed on" at once, and the draft beside it in review.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.conversation import answers, match, openai_writer
from leadpipe.conversation.decision import Decision
from leadpipe.conversation.effects import PLAN, next_number
from leadpipe.conversation.openai_client import OpenAiClient, Usage
from leadpipe.conversation.qualification import FAMILIES
from leadpipe.conversation.reading import TurnReading
from leadpipe.conversation.turn import Turn
from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.messaging.intent import Intent
from leadpipe.messaging.segments import count_segments
from leadpipe.outreach.facts import Known, know, people
from leadpipe.outreach.plan import load_plans
from leadpipe.outreach.variables import language_of, variables_for

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

PRIORITY = 5
# A hint at STOP at least every thirty days (C28); a day of margin.
HINT_EVERY = timedelta(days=29)
_REPLY_MARK = re.compile(r"^((re|fwd?|aw|rv|wg)\s*:\s*)+", re.I)


@dataclass(frozen=True, kw_only=True)
class Background:
    """What an answer may draw on, read before anything is decided.

    Attributes:
        before: our last message to the person, in the words they saw.
        plan: the plan that brought them to write, empty if none did.
        paused_by: why automation is paused, empty if it is not.
        contact_point_id: where an answer goes; None when no address of the person is left for that.
        has_hint: a text must say how to stop.
        asked_at: when they asked about the home whose facts we hold.
        number: the turn's.
    """

    known: Known | None
    before: str = ""
    plan: str = ""
    paused_by: str = ""
    is_with_agent: bool = False
    contact_point_id: int | None = None
    in_reply_to: str = ""
    our_subject: str = ""
    has_hint: bool = False
    asked_at: datetime | None = None
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Messages to enqueue, and what the CRM's note says about them."""

    intents: tuple[Intent, ...] = ()
    note: str = ""
    usages: tuple[Usage, ...] = ()


_LAST = text(
    """
    select m.id::text as id, m.body, m.subject, m.plan, m.provider_id, m.channel
    from ledger.messages m
    where m.person_id = :person and m.accepted_at is not null
    order by m.id = cast(:answered as uuid) desc, m.accepted_at desc limit 1
    """
)


def background(connection: Connection, turn: Turn, settings: Settings, *, now: datetime) -> Background:
    """Everything an answer to this turn needs to know, in one read."""
    if turn.person_id is None:
        return Background(known=None)
    row = people(connection, [turn.person_id], now=now).get(turn.person_id)
    if row is None:
        return Background(known=None)
    answered = next((m.in_reply_to for m in reversed(turn.messages) if m.in_reply_to), None)
    last = connection.execute(_LAST, {"person": turn.person_id, "answered": answered}).one_or_none()
    number = _number_given(connection, turn)
    return Background(
        known=know(row),
        before=_shown(last.body) if last else "",
        plan=last.plan if last else "",
        paused_by=row.automation_paused_reason or "" if row.automation_paused_at else "",
        is_with_agent=_is_with_agent(connection, turn.person_id),
        contact_point_id=_address(connection, turn),
        in_reply_to=_reference(last, settings) if turn.newest.channel == "email" and last else "",
        our_subject=last.subject if last else "",
        has_hint=_is_hint_due(connection, turn, now),
        asked_at=_asked_at(connection, row.event_id),
        number=number if number is not None else next_number(connection, turn),
    )


def answer(
    turn: Turn,
    read: TurnReading,
    decision: Decision,
    behind: Background,
    *,
    settings: Settings,
    client: OpenAiClient | None,
    market: str,
    now: datetime,
) -> Answering:
    """The messages that answer a turn; none when the decision gives no answer or no address is left.

    A draft that the model cannot or may not give is simply missing; the rule-built answer stands by itself.
    """
    known = behind.known
    if not decision.answer or known is None or behind.contact_point_id is None:
        return Answering()
    desk = _Desk(turn, read, behind, known, settings, now, market)
    key = answers.choose(decision.answer, turn.text, known, market)
    drafted = None
    if decision.may_draft and key == decision.answer and client is not None and not client.is_paused:
        drafted = _drafted(client, turn, desk.facts())
    usages = (drafted.usage,) if drafted else ()
    if drafted is not None and drafted.words:
        needs_review = _model_text(behind.plan, settings) != "send"
        draft = desk.intent(
            "draft", drafted.words, is_model_written=True, needs_review=needs_review, model=drafted.model
        )
        if not needs_review:
            return Answering(intents=(draft,), note=f"Answered (model): {drafted.words}", usages=usages)
        words = desk.rule_built(key)
        note = f"Answered: {words}\nDraft for your release (`leadpipe messages release`): {drafted.words}"
        return Answering(intents=(desk.intent("answer", words, answer=key), draft), note=note, usages=usages)
    words = desk.rule_built(key)
    return Answering(intents=(desk.intent("answer", words, answer=key),), note=f"Answered: {words}", usages=usages)


def _drafted(client: OpenAiClient, turn: Turn, facts: Sequence[str]) -> openai_writer.Drafted | None:
    try:
        return openai_writer.write(client, turn, facts=facts)
    except (TransientError, ConfigurationError):
        # The client has paused itself; the rule-built answer says all that is certain.
        return None


class _Desk:
    """One answer in the making."""

    def __init__(
        self,
        turn: Turn,
        read: TurnReading,
        behind: Background,
        known: Known,
        settings: Settings,
        now: datetime,
        market: str,
    ) -> None:
        self._turn, self._read, self._behind, self._known = turn, read, behind, known
        self._settings, self._now, self._market = settings, now, market
        self._language = answers.language_of(turn.text, language_of(known.row.custom))
        self._variables = {**variables_for(known, settings), "language": self._language}

    def rule_built(self, key: str) -> str:
        """The words of a rule-built answer."""
        name = self._variables["first_name"]
        home = self._known.row.property or {}
        told = {FAMILIES[fact.key] for fact in self._read.facts}
        return answers.words_of(
            key,
            self._language,
            {
                "name": "" if name == "there" else f" {name}" if self._language == "es" else f", {name}",
                "agent": self._variables["agent_name"],
                "brokerage": self._settings.brokerage_name,
                "assistant": self._settings.assistant_name,
                "question": answers.next_question(self._known, told, self._language),
                "address": home.get("street", ""),
                "price": f"${float(home.get('price_usd') or 0):,.0f}",
                "asked_on": self._asked_on(),
                "market": self._market,
            },
        )

    def facts(self) -> list[str]:
        """What a model may say: the home asked about as the inquiry stated it, the agent, the market sentence."""
        home = self._known.row.property or {}
        lines = [f"agent: {self._variables['agent_name']}", f"brokerage: {self._settings.brokerage_name}"]
        named = {"street": "address", "city": "city", "zip": "ZIP", "price_usd": "price then stated in dollars",
                 "bedrooms": "bedrooms", "type": "type"}  # fmt: skip
        about = [f"{label} {home[key]}" for key, label in named.items() if home.get(key)]
        if about:
            lines.append(f"home they asked about on {self._asked_on()}: {', '.join(about)}")
        return [*lines, *([f"market: {self._market}"] if self._market else [])]

    def intent(self, step: str, words: str, *, is_model_written: bool = False, **more: Any) -> Intent:
        """The message: framed for its channel, keyed by the turn's number."""
        newest, settings = self._turn.newest, self._settings
        point = self._behind.contact_point_id
        assert point is not None
        if newest.channel == "email":
            body = answers.as_email(words, self._variables)
        else:
            body = answers.as_text(
                words,
                assistant=settings.assistant_name,
                brokerage=settings.brokerage_name,
                language=self._language,
                has_hint=self._behind.has_hint and newest.channel == "sms",
            )
        return Intent(
            id=str(uuid4()),
            person_id=self._known.row.person_id,
            contact_point_id=point,
            enrolment_id=None,
            plan=PLAN,
            plan_version=answers.version() if not is_model_written else openai_writer.PROMPT_VERSION,
            step=step,
            occurrence=self._behind.number,
            channel=newest.channel,
            purpose="conversation",
            subject=self._subject() if newest.channel == "email" else "",
            body=body,
            variables={"words": words, "language": self._language, "in_reply_to": self._behind.in_reply_to},
            priority=PRIORITY,
            is_model_written=is_model_written,
            needs_review=bool(more.get("needs_review", False)),
            due_at=self._now,
            expires_at=self._now + timedelta(hours=settings.stale_after_hours),
            evidence={
                "inbound_ids": self._turn.ids,
                "answer": more.get("answer", ""),
                "model": more.get("model", ""),
                "intent": self._read.reading.intent,
                "confidence": self._read.reading.confidence,
                "reader": self._read.reading.reader,
                "facts_given": self.facts() if is_model_written else [],
                "segments": count_segments(body).count if newest.channel == "sms" else 0,
            },
        )

    def _subject(self) -> str:
        subject = _REPLY_MARK.sub("", self._turn.newest.subject or self._behind.our_subject).strip()
        return f"Re: {subject or 'your message'}"

    def _asked_on(self) -> str:
        asked = self._behind.asked_at
        return f"{asked.astimezone(ZoneInfo(self._settings.team_timezone)):%Y-%m-%d}" if asked else "that day"


def _asked_at(connection: Connection, event_id: int | None) -> datetime | None:
    query = text("select occurred_at from ledger.inquiries where event_id = :id")
    return connection.execute(query, {"id": event_id}).scalar()


def _number_given(connection: Connection, turn: Turn) -> int | None:
    """The number a run that died has given this very turn, so that its answers are not enqueued twice."""
    return connection.execute(
        text(
            "select occurrence from ledger.messages where person_id = :person and plan = :plan "
            "and evidence -> 'inbound_ids' = cast(:ids as jsonb) order by created_at limit 1"
        ),
        {"person": turn.person_id, "plan": PLAN, "ids": str(turn.ids)},
    ).scalar()


def _is_with_agent(connection: Connection, person_id: int) -> bool:
    found = connection.execute(
        text("select 1 from ledger.handoffs where person_id = :id and closed_at is null"), {"id": person_id}
    )
    return found.scalar() is not None


def _address(connection: Connection, turn: Turn) -> int | None:
    """The address they wrote from when it is theirs; else, for the same channel, the one our message went to."""
    assert turn.person_id is not None
    own = match.points_of(connection, turn.person_id)
    kind = "email" if turn.newest.channel == "email" else "phone"
    if turn.newest.contact_point_id in own:
        return turn.newest.contact_point_id
    for message in reversed(turn.messages):
        answered = match.our_message(connection, message.in_reply_to)
        if answered is not None and own.get(answered.contact_point_id) == kind:
            return answered.contact_point_id
    return None


def _is_hint_due(connection: Connection, turn: Turn, now: datetime) -> bool:
    found = connection.execute(
        text(
            "select 1 from ledger.messages where contact_point_id = :point and channel = 'sms' and accepted_at > :since "
            "and body like '%STOP%' limit 1"
        ),
        {"point": turn.newest.contact_point_id, "since": now - HINT_EVERY},
    )
    return found.scalar() is None


def _reference(last: Any, settings: Settings) -> str:
    """The Message-ID of our mail as SES wrote it, so that mail programs show one conversation."""
    if last.channel != "email" or not last.provider_id:
        return ""
    host = "email" if settings.aws_region == "us-east-1" else settings.aws_region
    return f"<{last.provider_id}@{host}.amazonses.com>"


def _shown(body: str) -> str:
    """Our last words: of an email its first paragraphs, without the tail that every email carries."""
    return "\n".join(body.split("\n\n")[:3])[:400]


def _model_text(plan: str, settings: Settings) -> str:
    found = load_plans(settings.plans_path).get(plan)
    return found.model_text if found is not None else "review"
