"""Everyone of the sandbox: they arrive, browse, answer, opt out, complain and buy.

What lives here: the flow of people and of what they say. What does not: who they are (``cast``), what happened before
(``past``), how they make up their mind (``answers``), the team (``agents``).

Everything a person does follows from the seed and their serial number, whoever else is around. Delays are wall clock.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.people import contact_key
from leadpipe.sandbox.homes import homes_in
from leadpipe.sandbox.population.answers import STOPPERS, Said, react
from leadpipe.sandbox.population.cast import Cast, Draft, dice_of
from leadpipe.sandbox.population.lead import Lead
from leadpipe.sandbox.population.past import live_through
from leadpipe.sandbox.state import AcceptedMessage, iso

if TYPE_CHECKING:
    from leadpipe.sandbox.aws.mail_events import MailEvents
    from leadpipe.sandbox.aws.mail_inbound import MailInbound
    from leadpipe.sandbox.aws.sns import Sns
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.population.agents import Agents
    from leadpipe.sandbox.state import Sandbox
    from leadpipe.sandbox.twilio.inbound import Inbound
    from leadpipe.sandbox.twilio.messages import Messages

Row = dict[str, Any]
KINDS = {
    "Property Inquiry": 45,
    "Registration": 20,
    "Seller Inquiry": 12,
    "General Inquiry": 13,
    "Visited Open House": 10,
}
# While the past is loaded, others get a turn after so many people.
CHUNK = 200
# Shares of arrivals.
LIVE_TRANSFER, SECOND_INQUIRY, BROWSES, OLD_FRIENDS, AGENT_STEPS_IN, TWICE = 0.04, 0.07, 0.3, 0.03, 0.05, 0.006
DEAD = 0.02
MOST_TURNS = 4


class Crowd:
    """Everyone, found by person and by address."""

    def __init__(
        self,
        sandbox: Sandbox,
        store: FubStore,
        agents: Agents,
        *,
        twilio: Messages,
        texts: Inbound,
        mail: MailEvents,
        letters: MailInbound,
        sns: Sns,
    ) -> None:
        self._sandbox = sandbox
        self._store = store
        self._agents = agents
        self._twilio = twilio
        self._texts = texts
        self._mail = mail
        self._letters = letters
        self._sns = sns
        self._cast = Cast(sandbox.config.seed)
        self._dice = random.Random(sandbox.config.seed)
        self.leads: dict[int, Lead] = {}
        self._by_contact: dict[str, Lead] = {}
        self.count_arrived = 0
        self.count_opt_outs = 0
        self.count_by_intent: Counter[str] = Counter()
        sandbox.listeners.append(self.receive)

    # coming

    async def start(self, *, new: int = 0, aged: int = 0, seconds: float = 60.0, per_second: float = 0.0) -> Row:
        """Load ``aged`` people of the past, then let ``new`` ones arrive over ``seconds`` of wall time.

        ``per_second`` is another way to give the window. The last one arrives before it ends.
        """
        for number in range(aged):
            self._add_aged()
            if number % CHUNK == CHUNK - 1:
                await asyncio.sleep(0)
        window = new / per_second if per_second else seconds
        for number in range(new):
            self._sandbox.scheduler.after(window * (number + self._dice.random()) / max(1, new), self._arrive)
        for _ in range(int(new * OLD_FRIENDS)):
            self._sandbox.scheduler.after(window * self._dice.random(), self._old_friend)
        return {"people": len(self._store.people.all), "arriving": new, "over_seconds": window}

    def _add_aged(self) -> None:
        draft = self._cast.draw(self._sandbox.started_at)
        if self.leads and draft.dice.random() < 0.01:
            # Two records of one person: same address, another name; nobody merged them.
            other = self.leads[draft.dice.choice(range(10_001, 10_001 + len(self.leads)))]
            if other.emails and not other.emails[0].endswith("zillow.com"):
                draft.emails = other.emails[:1]
                draft.fields["emails"] = [{"value": value} for value in draft.emails]
        person = live_through(self._store, draft, started_at=self._sandbox.started_at)
        self._remember(draft, person.id, datetime.fromisoformat(person.shown["created"]), is_new=False)

    def _arrive(self) -> None:
        now, wall = self._sandbox.now(), self._sandbox.wall()
        draft = self._cast.draw(now)
        dice = draft.dice
        body = self._inquiry(draft)
        person, is_new = self._store.add_event(body, at=now)
        if not is_new:
            return
        self.count_arrived += 1
        lead = self._remember(draft, person.id, now, is_new=True, wall_at=wall)
        roll = dice.random()
        if roll < LIVE_TRANSFER:
            self._live_transfer(lead)
        elif roll < LIVE_TRANSFER + SECOND_INQUIRY:
            self._later(0.8, lambda: self._ask_again(body, lead, dice.random() < 0.3))
        elif roll < LIVE_TRANSFER + SECOND_INQUIRY + AGENT_STEPS_IN:
            what = dice.choice(("text", "call", "email", "note", "reassign", "reprice", "stop_stage"))
            self._later(dice.uniform(15, 60), lambda: self._agents.act(what, lead.person_id))
        elif roll < LIVE_TRANSFER + SECOND_INQUIRY + AGENT_STEPS_IN + TWICE and lead.phones:
            self._later(dice.uniform(3, 8), lambda: self._comes_twice(draft, lead))
        if dice.random() < BROWSES:
            kind = dice.choice(("Viewed Property", "Viewed Property", "Saved Property", "Visited Website"))
            self._later(dice.uniform(3, 20), lambda: self._browse(lead, draft, kind))

    def _inquiry(self, draft: Draft) -> Row:
        """What a portal posts about them (FUB sheet 5)."""
        dice = draft.dice
        kind = dice.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        body: Row = {"source": draft.fields["source"], "system": "portal", "type": kind, "person": draft.fields,
                     "message": "I would like to know more." if kind != "Registration" else ""}  # fmt: skip
        if kind in {"Property Inquiry", "Visited Open House"}:
            body["property"] = self._home(draft)
        return body

    def _home(self, draft: Draft) -> Row:
        home = draft.dice.choice(homes_in(draft.place.zip, self._sandbox.now()))
        return {
            "street": home["UnparsedAddress"], "city": draft.place.city, "state": draft.place.state,
            "code": draft.place.zip, "price": home["ListPrice"], "mlsNumber": home["ListingId"],
            "bedrooms": home["BedroomsTotal"], "type": "Residential", "url": f"https://homes.example/{home['ListingId']}",
        }  # fmt: skip

    def _remember(
        self, draft: Draft, person_id: int, at: datetime, *, is_new: bool, wall_at: datetime | None = None
    ) -> Lead:  # fmt: skip
        lead = Lead(
            person_id=person_id, serial=draft.serial, created_at=at, created_wall_at=wall_at or self._sandbox.wall(),
            is_new=is_new, emails=draft.emails, phones=draft.phones, name=draft.name,
            speaks_spanish=draft.speaks_spanish, is_contactable=bool(draft.emails),
        )  # fmt: skip
        self.leads[person_id] = lead
        for contact in (*draft.emails, *draft.phones):
            self._by_contact.setdefault(contact_key(contact), lead)
        if draft.emails and draft.dice.random() < DEAD:
            self._mail.dead_addresses.add(draft.emails[0].lower())
        if draft.phones and draft.dice.random() < DEAD:
            self._twilio.dead_numbers.add(draft.phones[0])
        return lead

    def _later(self, seconds: float, job: Callable[[], object]) -> None:
        def run() -> None:
            job()

        self._sandbox.scheduler.after(seconds * self._sandbox.config.pace, run)

    # what they do without being asked

    def _live_transfer(self, lead: Lead) -> None:
        """The agent has talked to them before we could write (zillow sheet 5)."""
        lead.state, lead.is_contactable = "agent_called", False
        self._agents.act("call", lead.person_id)

    def _ask_again(self, body: Row, lead: Lead, has_home: bool) -> None:
        """The second inquiry that follows the real one within a second, mostly without a property."""
        more = body if has_home else {**body, "type": "General Inquiry", "property": None}
        self._store.add_event({**more, "person": {"id": lead.person_id}})

    def _browse(self, lead: Lead, draft: Draft, kind: str) -> None:
        home = None if kind == "Visited Website" else self._home(draft)
        self._store.add_event(
            {"source": "demo-realty.example", "type": kind, "property": home, "person": {"id": lead.person_id}}
        )

    def _old_friend(self) -> None:
        """Somebody of the past asks again; that is answered like a new lead."""
        aged = [lead for lead in self.leads.values() if not lead.is_new and lead.emails and lead.opted_out_at is None]
        if not aged:
            return
        lead = self._dice.choice(aged)
        lead.inquired_again_at = self._sandbox.now()
        body = {"source": "Zillow", "type": "General Inquiry", "message": "Back in the market, what is new?",
                "person": {"id": lead.person_id}}  # fmt: skip
        self._store.add_event(body)

    def _comes_twice(self, draft: Draft, lead: Lead) -> None:
        """The same person under another address; a while later an agent merges the two records."""
        email = f"also.{lead.serial}@example.com"
        fields = {**draft.fields, "emails": [{"value": email}], "phones": []}
        person = self._store.people.create(fields)
        twin = Lead(
            person_id=person.id, serial=lead.serial, created_at=self._sandbox.now(), is_new=False, emails=[email],
            created_wall_at=self._sandbox.wall(), phones=[], name=lead.name, is_contactable=True,
        )  # fmt: skip
        self.leads[person.id] = twin
        self._by_contact[email] = twin

        def merge() -> None:
            if person.id in self._store.people.all and lead.person_id in self._store.people.all:
                self._store.merge(lead.person_id, [person.id])
                twin.state = "merged"

        self._later(45, merge)

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
            self._later(found.after_seconds + 10, lambda: self._agents.act("text", lead.person_id))

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

    async def _mark_spam(self, lead: Lead, message: AcceptedMessage) -> None:
        if await self._mail.complain(message):
            self._opted_out(lead, "email", "complaint event")

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
