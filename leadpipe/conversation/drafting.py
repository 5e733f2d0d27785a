"""From a decision to the messages that answer a turn.

What lives here: the rule-built answer and the model's draft for review, as intents. What does not: the words
(``answers``, ``openai_writer``), what they may draw on (``background``), sending (``messaging``).

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

from leadpipe.conversation import answers, openai_writer
from leadpipe.conversation.background import Background
from leadpipe.conversation.decision import Decision
from leadpipe.conversation.effects import PLAN
from leadpipe.conversation.openai_client import OpenAiClient, Usage
from leadpipe.conversation.qualification import FAMILIES
from leadpipe.conversation.reading import TurnReading
from leadpipe.conversation.turn import Turn
from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.messaging.intent import Intent
from leadpipe.messaging.segments import count_segments
from leadpipe.outreach.facts import Known
from leadpipe.outreach.plan import load_plans
from leadpipe.outreach.variables import language_of, variables_for

if TYPE_CHECKING:
    from leadpipe.settings import Settings

PRIORITY = 5
_REPLY_MARK = re.compile(r"^((re|fwd?|aw|rv|wg)\s*:\s*)+", re.I)


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Messages to enqueue, and what the CRM's note says about them."""

    intents: tuple[Intent, ...] = ()
    note: str = ""
    usages: tuple[Usage, ...] = ()


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
        drafted = _drafted(client, turn, desk.facts(), known.row.first_name)
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


def _drafted(client: OpenAiClient, turn: Turn, facts: Sequence[str], first_name: str) -> openai_writer.Drafted | None:
    try:
        return openai_writer.write(client, turn, facts=facts, names=(first_name, *first_name.split()))
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
        self._variables = {**variables_for(known, settings, now=now), "language": self._language}

    def rule_built(self, key: str) -> str:
        """The words of a rule-built answer."""
        return answers.words_of(key, self._language, self._values())

    def _values(self) -> dict[str, str]:
        """What the words of a rule-built answer are filled with."""
        name = self._variables["first_name"]
        home = self._known.row.property or {}
        told = {FAMILIES[fact.key] for fact in self._read.facts}
        return {
            "name": "" if name == "there" else f" {name}" if self._language == "es" else f", {name}",
            "agent": self._variables["agent_name"],
            "brokerage": self._settings.brokerage_name,
            "assistant": self._settings.assistant_name,
            "question": answers.next_question(self._known, told, self._language),
            "address": str(home.get("street") or ""),
            "price": f"${float(home.get('price_usd') or 0):,.0f}",
            "asked_on": self._asked_on(),
            "market": self._market,
        }

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
        frame: dict[str, Any] = dict(self._variables)
        if newest.channel != "email":
            frame = {
                "assistant": settings.assistant_name,
                "brokerage": settings.brokerage_name,
                "language": self._language,
                "has_hint": self._behind.has_hint and newest.channel == "sms",
                # The first text by a channel is one without a hint before it.
                "licence": self._variables["licence"] if self._behind.has_hint else "",
            }
        body = answers.framed(words, newest.channel, frame)
        return Intent(
            id=str(uuid4()),
            person_id=self._known.row.person_id,
            contact_point_id=point,
            enrolment_id=None,
            plan=PLAN,
            plan_version=answers.version(self._language) if not is_model_written else openai_writer.PROMPT_VERSION,
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
                "answers_version": answers.version(self._language),
                "values": {} if is_model_written else self._values(),
                "frame": frame,
                "model": more.get("model", ""),
                "intent": self._read.reading.intent,
                "confidence": self._read.reading.confidence,
                "reader": self._read.reading.reader,
                "facts_given": self.facts() if is_model_written else [],
                "segments": count_segments(body).count if newest.channel == "sms" else 0,
            },
            inputs=(answers.as_input(self._language), *((openai_writer.as_input(),) if is_model_written else ())),
        )

    def _subject(self) -> str:
        subject = _REPLY_MARK.sub("", self._turn.newest.subject or self._behind.our_subject).strip()
        return f"Re: {subject or 'your message'}"

    def _asked_on(self) -> str:
        asked = self._behind.asked_at
        return f"{asked.astimezone(ZoneInfo(self._settings.team_timezone)):%Y-%m-%d}" if asked else "that day"


def _model_text(plan: str, settings: Settings) -> str:
    found = load_plans(settings.plans_path).get(plan)
    return found.model_text if found is not None else "review"
