"""Everyone of the sandbox: found by person and by address, and what they do about a message.

What lives here: answering, opting out, complaining, and the truth of it. What does not: how they come (``arrivals``),
how they make up their mind (``answers``), the team (``agents``).

Everything a person does follows from the seed and their serial number, whoever else is around. Delays are wall clock.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.people import contact_key
from leadpipe.sandbox.population.answers import STOPPERS, Said, react
from leadpipe.sandbox.population.cast import Draft, dice_of
from leadpipe.sandbox.population.lead import Lead
from leadpipe.sandbox.state import AcceptedMessage, iso

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.mail_events import MailEvents
    from leadpipe.sandbox.aws.mail_inbound import MailInbound
    from leadpipe.sandbox.aws.sns import Sns
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.population.agents import Agents
    from leadpipe.sandbox.state import Sandbox
    from leadpipe.sandbox.twilio.inbound import Inbound
    from leadpipe.sandbox.twilio.judging import Judge

Row = dict[str, Any]
DEAD = 0.02
MOST_TURNS = 4


class Crowd:
    """Everyone."""

    def __init__(
        self,
        sandbox: Sandbox,
        store: FubStore,
        agents: Agents,
        *,
        judge: Judge,
        texts: Inbound,
        mail: MailEvents,
        letters: MailInbound,
        sns: Sns,
    ) -> None:
        self._sandbox = sandbox
        self._store = store
        self._agents = agents
        self._judge = judge
        self._texts = texts
        self._mail = mail
        self._letters = letters
        self._sns = sns
        self.leads: dict[int, Lead] = {}
        self._by_contact: dict[str, Lead] = {}
        self.count_arrived = 0
        self.count_opt_outs = 0
        self.count_by_intent: Counter[str] = Counter()
        sandbox.listeners.append(self.receive)

    def add(self, lead: Lead) -> None:
        """One more, known by their addresses; the elder of two keeps an address they share."""
        self.leads[lead.person_id] = lead
        for contact in (*lead.emails, *lead.phones):
            self._by_contact.setdefault(contact_key(contact), lead)

    def remember(
        self, draft: Draft, person_id: int, at: datetime, *, is_new: bool, wall_at: datetime | None = None
    ) -> Lead:  # fmt: skip
        """Add the person of a draft; a few of their mailboxes and numbers are dead."""
        lead = Lead(
            person_id=person_id, serial=draft.serial, created_at=at, created_wall_at=wall_at or self._sandbox.wall(),
            is_new=is_new, emails=draft.emails, phones=draft.phones, name=draft.name,
            speaks_spanish=draft.speaks_spanish, is_contactable=bool(draft.emails),
        )  # fmt: skip
        self.add(lead)
        if draft.emails and draft.dice.random() < DEAD:
            self._mail.dead_addresses.add(draft.emails[0].lower())
        if draft.phones and draft.dice.random() < DEAD:
            self._judge.dead_numbers.add(draft.phones[0])
        return lead

    # answering

    def receive(self, message: AcceptedMessage) -> None:
        """A message was accepted for somebody: if it reaches them, perhaps they do something about it."""
        lead = self._by_contact.get(contact_key(message.to))
        if lead is None or not message.is_delivered or lead.opted_out_at is not None:
            return
        if lead.state in {"new", "agent_called"}:
            lead.state = "touched"
        lead.count_received += 1
        config = self._sandbox.config
        is_warm = lead.is_new or lead.inquired_again_at is not None or message.plan in {"conversation", "nurture"}
        share = config.new_answer_share if is_warm else config.aged_answer_share
        share /= 1 if lead.count_received == 1 else 2
        if len(lead.replies) >= MOST_TURNS:
            return
        dice = dice_of(config.seed, lead.serial, lead.count_received)
        found = react(
            dice, channel=message.channel, share=share, speaks_spanish=lead.speaks_spanish, pace=config.pace
        )  # fmt: skip
        later = self._sandbox.scheduler.after
        for said in found.says:
            later(said.after_seconds, lambda said=said: self._say(lead, message, said, dice))
        if found.act == "unsubscribe":
            later(found.after_seconds, lambda: self._follow_link(lead, message))
        elif found.act == "spam":
            later(found.after_seconds, lambda: self._mark_spam(lead, message))
        elif found.act == "away":
            later(found.after_seconds, lambda: self._is_away(message))
        if found.says and found.says[0].intent == "interested" and dice.random() < 0.15:
            later(found.after_seconds + 10 * config.pace, lambda: self._let_agent_write(lead))

    async def _say(self, lead: Lead, message: AcceptedMessage, said: Said, dice: random.Random) -> None:
        if lead.opted_out_at is not None:
            return
        if message.channel == "email":
            if said.intent == "complaint" and dice.random() < 0.5:
                await self._mark_spam(lead, message)
                return
            if lead.phones and dice.random() < 0.04:
                # A few answer a mail by text.
                await self._write(lead, "sms", lead.phones[0], said.intent, said.words)
                return
        elif message.provider == "sns":
            self._answer_sns(lead, message, said)
            return
        await self._write(lead, message.channel, message.to, said.intent, said.words, answers=message)

    async def _write(
        self, lead: Lead | None, channel: str, sender: str, intent: str, words: str, *,
        answers: AcceptedMessage | None = None,
    ) -> bool:  # fmt: skip
        """Send something to us, and note as truth that we have it when we have it."""

        def taken() -> None:
            self.count_by_intent[intent] += 1
            if row is not None and lead is not None:
                row["is_taken"] = True
                if intent in STOPPERS:
                    self._opted_out(lead, channel, words)

        now = self._sandbox.now()
        row = lead.said(channel, intent, words, sender=sender, at=now) if lead is not None else None
        name = lead.name if lead is not None else ""
        if channel == "email":
            to = answers.reply_to if answers else f"hello@in.{self._sandbox.config.mail_domain}"
            return await self._letters.receive(sender, words, to=to, answers=answers, name=name, on_taken=taken)
        return await self._texts.receive(sender, words, channel=channel, name=name, on_taken=taken)

    def _answer_sns(self, lead: Lead, message: AcceptedMessage, said: Said) -> None:
        """SNS has no way back but its own keywords; those end up on the account's list and nowhere else."""
        from leadpipe.sandbox.aws.sns import STOP_WORDS

        if said.words.strip().lower() not in STOP_WORDS:
            return
        row = lead.said("sms", "opt_out", said.words, sender=message.to, at=self._sandbox.now())

        def listed() -> None:
            row["is_listed"] = True
            self._opted_out(lead, "sms", said.words)

        self._sns.opt_out(message.to, listed)

    def _let_agent_write(self, lead: Lead) -> None:
        """The agent saw the answer and writes from their own phone."""
        self._agents.act("text", lead.person_id)

    async def _mark_spam(self, lead: Lead, message: AcceptedMessage) -> None:
        await self._mail.complain(message, lambda: self._opted_out(lead, "email", "complaint event"))

    async def _is_away(self, message: AcceptedMessage) -> None:
        """An out-of-office answer, which says nothing about the person."""
        await self._letters.receive(
            message.to, "I am out of the office until Monday.", to=message.reply_to, answers=message, is_automatic=True
        )

    async def _follow_link(self, lead: Lead, message: AcceptedMessage) -> None:
        """A scanner follows the link first, which must not unsubscribe; then the mailbox provider posts (RFC 8058)."""
        found = re.search(r"<(https?://[^>]+)>", message.headers.get("List-Unsubscribe", ""))
        if found is None:
            return
        await self._sandbox.delivery.get(found.group(1))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self._sandbox.delivery.post(
            found.group(1), "List-Unsubscribe=One-Click", headers, timeout=10
        )  # fmt: skip
        if answer.is_success:
            self._opted_out(lead, "email", "one-click")

    def _opted_out(self, lead: Lead, channel: str, words: str) -> None:
        self.count_opt_outs += lead.opted_out_at is None
        lead.opts_out(channel, words, at=self._sandbox.now(), wall_at=self._sandbox.wall())

    # from outside

    async def say(self, channel: str, sender: str, words: str, intent: str = "scripted") -> bool:
        """A scripted message from an address; whether our side took it at once.

        It answers the last mail we sent there, if it is a mail. Only an ``intent`` that refuses counts as an opt-out.
        """
        lead = self._by_contact.get(contact_key(sender))
        last = None
        if channel == "email":
            mine = (m for m in reversed(self._sandbox.accepted) if m.to.lower() == sender.lower())
            last = next(mine, None)
        return await self._write(lead, channel, sender, intent, words, answers=last)

    def truth(self) -> list[Row]:
        """The rows of ``GET /_truth/leads``."""
        return [lead.truth() for lead in self.leads.values()]

    def counts(self) -> Row:
        """Figures for a live view, kept as things happen."""
        return {
            "people": len(self._store.people.all), "leads_new": self.count_arrived, "opt_outs": self.count_opt_outs,
            "replies": dict(self.count_by_intent), "now": iso(self._sandbox.now()),
        }  # fmt: skip
