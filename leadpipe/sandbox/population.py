"""The people of the sandbox: they arrive, browse, answer, opt out, complain and buy; agents act by themselves.

What lives here: behaviour, on wall-clock delays and seeded dice. What does not: providers' rules. What a person means
and when they opted out is kept as truth.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import yaml

from leadpipe.sandbox.aws import AwsApi
from leadpipe.sandbox.fub_store import FubStore, contact_key, stamp
from leadpipe.sandbox.places import ABROAD, FIRST, LAST, PLACES, SOURCES, us_number
from leadpipe.sandbox.state import AcceptedMessage, Sandbox, iso
from leadpipe.sandbox.twilio import TwilioApi

Row = dict[str, Any]
# How people answer a message, in hundredths; the rest stays silent.
ANSWERS = {
    "interested": 8, "question": 6, "later": 4, "appointment": 3, "not_interested": 3, "opt_out": 9, "has_agent": 2,
    "human": 2, "wrong_number": 2, "complaint": 1, "other": 2,
}  # fmt: skip
STOPPERS = {"opt_out", "wrong_number", "complaint"}


@dataclass(kw_only=True)
class Lead:
    """One person's inner life: what they will do, and the truth of what they did."""

    person_id: int
    created_at: datetime
    created_wall_at: datetime
    is_new: bool
    emails: list[str]
    phones: list[str]
    is_contactable: bool = True
    opted_out_at: datetime | None = None
    opted_out_wall_at: datetime | None = None
    opted_out: list[Row] = field(default_factory=list[Row])
    replies: list[Row] = field(default_factory=list[Row])
    state: str = "new"


class Population:
    """Everyone, found by person or by address."""

    def __init__(self, sandbox: Sandbox, store: FubStore, twilio: TwilioApi, aws: AwsApi) -> None:
        self._sandbox = sandbox
        self._store = store
        self._twilio = twilio
        self._aws = aws
        self._dice = random.Random(sandbox.config.seed)
        self.leads: dict[int, Lead] = {}
        self._by_contact: dict[str, Lead] = {}
        self._serial = 0
        self.count_arrived = 0
        text = (files("leadpipe.sandbox") / "sentences.yaml").read_text(encoding="utf-8")
        self.sentences: dict[str, list[str]] = yaml.safe_load(text)
        sandbox.listeners.append(self.receive)

    # arriving

    def start(self, *, new: int = 0, aged: int = 0, seconds: float = 60) -> Row:
        """Load ``aged`` people of the past at once and let ``new`` ones arrive over ``seconds`` of wall time."""
        for _ in range(aged):
            self._add_aged()
        for number in range(new):
            at = seconds * (number + self._dice.random()) / max(1, new)
            self._sandbox.scheduler.after(at, self._arrive)
        return {"people": len(self._store.people), "arriving": new}

    def _person(self, *, is_new: bool) -> tuple[Row, list[str], list[str]]:
        dice = self._dice
        self._serial += 1
        serial = self._serial
        first, last = dice.choice(FIRST), dice.choice(LAST)
        code, city, state, area = dice.choice(PLACES)
        email = f"{first}.{last}{serial}@example.{dice.choice(('com', 'net', 'org'))}".lower()
        phone = us_number(area, serial)
        source = dice.choice(SOURCES)
        roll = dice.random()
        abroad = roll < 0.10
        if abroad:
            prefix, _ = dice.choice(ABROAD)
            phone = prefix + f"{serial:09d}"[-(12 - len(prefix)) :]
        if source == "Zillow" and dice.random() < 0.2:
            email = f"{serial:x}lead{dice.randrange(16**6):06x}@convo.zillow.com"
        emails = [] if 0.10 <= roll < 0.15 else [email]
        phones = [] if 0.15 <= roll < 0.35 else [phone]
        fields: Row = {
            "firstName": first, "lastName": last, "source": source, "price": dice.randrange(180, 900) * 1000,
            "emails": [{"value": value} for value in emails],
            "phones": [{"value": _as_typed(value, dice)} for value in phones],
            "tags": dice.sample(["Buyer", "Seller", "Open House", "Relocation", "VIP"], k=dice.randrange(0, 3)),
            "addresses": [] if abroad else [{"type": "home", "street": "", "city": city, "state": state, "code": code,
                                            "country": "US"}],
            "timeframeId": dice.choice((None, 1, 2, 3, 4)),
        }  # fmt: skip
        if 0.35 <= roll < 0.36:
            fields["phones"] = [{"value": "5" * 40}]
            phones = []
        if phones and (abroad or dice.random() < (0.4 if is_new else 0.25)):
            at = stamp(self._sandbox.now() - timedelta(days=1 if is_new else 60))
            fields["customConsentSms"] = "pewc" if dice.random() < 0.8 else "inquiry"
            fields["customConsentText"] = "I agree that Demo Realty may text me, also automatically; not a condition."
            fields["customConsentAt"] = at
            fields["customConsentIp"] = "192.0.2.44"
            if abroad or dice.random() < 0.15:
                fields["customWhatsAppOptIn"] = at
        return fields, emails, phones

    def _add_aged(self) -> None:
        """One person of the past, with a history that makes some of them better leads than others."""
        dice = self._dice
        fields, emails, phones = self._person(is_new=False)
        if self.leads and dice.random() < 0.01:
            other = dice.choice(list(self.leads.values()))
            emails = other.emails[:1]
            fields["emails"] = [{"value": value} for value in emails]
        now = self._sandbox.now()
        at = now - timedelta(days=dice.uniform(100, 1090))
        warmth = (
            dice.random() + (0.25 if fields["source"] == "Referral" else 0) - (0.2 if fields["price"] > 700_000 else 0)
        )
        bought = warmth > 1.0
        fields["stage"] = (
            "Closed" if bought else dice.choices(("Lead", "Contacted", "Nurture", "Trash"), (60, 25, 13, 2))[0]
        )
        fields["assignedUserId"] = 2 + self._serial % 3
        person = self._store.add_person(fields, at=at, quiet=True)
        seen = at + timedelta(days=dice.uniform(0, 9))
        views = int(max(0.0, warmth) * 30)
        person |= {
            "propertiesViewed": views, "propertiesSaved": views // 5, "pagesViewed": views * 2, "contacted": 1,
            "websiteVisits": views // 3, "lastActivity": stamp(seen), "updated": stamp(seen),
            "callsOutgoing": dice.randrange(0, 4), "lastOutgoingCall": stamp(at + timedelta(hours=2)),
        }  # fmt: skip
        if warmth > 0.6:
            person |= {"textsReceived": 1 + int(warmth * 3), "lastReceivedText": stamp(seen)}
        kind = dice.choice(("Property Inquiry", "Registration", "Seller Inquiry"))
        self._event(person, kind, fields["source"], at)
        if bought or warmth > 0.85:
            met = at + timedelta(days=dice.uniform(5, 60))
            self._store.add(
                "appointments",
                {"title": "Showing", "start": stamp(met), "end": stamp(met), "invitees": [{"personId": person["id"]}]},
                quiet=True, at=met - timedelta(days=2),
            )  # fmt: skip
        if bought:
            closed = at + timedelta(days=dice.uniform(30, 85))
            self._store.add(
                "deals",
                {"name": f"Deal {person['id']}", "type": 0, "status": "Active", "price": person["price"],
                 "createdAt": stamp(closed - timedelta(days=20)), "pipelineId": 1, "pipelineName": "Buyers",
                 "stageId": 103, "stageName": "Closed", "enteredStageAt": stamp(closed),
                 "commissionValue": int(person["price"] * 0.025), "people": [{"id": person["id"]}], "users": []},
                quiet=True,
            )  # fmt: skip
        self._remember(person, emails, phones, at, is_new=False)

    def _event(self, person: Row, kind: str, source: str, at: datetime) -> None:
        home = None
        if kind == "Property Inquiry":
            home = {"street": "12 Oak St", "city": "", "state": "", "code": PLACES[0][0], "price": str(person["price"])}
        row = {"occurred": stamp(at), "personId": person["id"], "message": "", "description": "", "additional": [],
               "noteId": None, "source": source, "type": kind, "property": home, "propertySearch": None}  # fmt: skip
        self._store.add("events", row, quiet=True, at=at)

    def _remember(self, person: Row, emails: list[str], phones: list[str], at: datetime, *, is_new: bool) -> Lead:
        lead = Lead(
            person_id=person["id"], created_at=at, created_wall_at=self._sandbox.wall(), is_new=is_new,
            emails=emails, phones=phones, is_contactable=bool(emails),
        )  # fmt: skip
        self.leads[person["id"]] = lead
        for contact in (*emails, *phones):
            self._by_contact.setdefault(contact_key(contact), lead)
        if emails and self._dice.random() < 0.02:
            self._aws.dead_addresses.add(emails[0])
        if phones and self._dice.random() < 0.02:
            self._twilio.dead_numbers.add(phones[0])
        return lead

    async def _arrive(self) -> None:
        dice = self._dice
        now = self._sandbox.now()
        fields, emails, phones = self._person(is_new=True)
        kind = dice.choice(("Property Inquiry", "Registration", "Seller Inquiry", "General Inquiry"))
        body: Row = {"source": fields["source"], "system": "portal", "type": kind, "person": fields,
                     "message": "I would like to know more."}  # fmt: skip
        if kind == "Property Inquiry":
            code, city, state, _ = dice.choice(PLACES)
            body["property"] = {"street": f"{dice.randrange(10, 999)} Oak St", "city": city, "state": state,
                                "code": code, "price": fields["price"], "mlsNumber": f"MLS{dice.randrange(10**6)}",
                                "bedrooms": dice.randrange(2, 5), "type": "Residential"}  # fmt: skip
        person, is_new = self._store.add_event(body, at=now)
        if is_new:
            self.count_arrived += 1
            lead = self._remember(person, emails, phones, now, is_new=True)
            roll = dice.random()
            if roll < 0.05:
                self._agent_calls(lead)
            elif roll < 0.12:
                self._later(0.8, lambda: self._inquire_again(body, person["id"]))
        if dice.random() < 0.3:
            self._later(dice.uniform(3, 20), lambda: self._browse(person["id"]))

    def _later(self, seconds: float, job: Any) -> None:
        async def run() -> None:
            job()

        self._sandbox.scheduler.after(seconds, run)

    def _inquire_again(self, body: Row, person_id: int) -> None:
        """The property-less second inquiry that follows the real one (zillow sheet section 5)."""
        self._store.add_event({**body, "type": "General Inquiry", "property": None, "person": {"id": person_id}})

    def _browse(self, person_id: int) -> None:
        home = {"street": "5 Cedar St", "code": PLACES[3][0], "price": "410000"}
        self._store.add_event({"source": "demo-realty.example", "type": "Viewed Property", "property": home,
                               "person": {"id": person_id}})  # fmt: skip

    def _agent_calls(self, lead: Lead) -> None:
        """A live transfer: the agent has talked to the lead before we could write (zillow sheet section 5)."""
        now = stamp(self._sandbox.now())
        lead.state = "agent_called"
        lead.is_contactable = False
        person = self._store.people[lead.person_id]
        person |= {"lastOutgoingCall": now, "lastIncomingCall": now, "lastCommunication": now, "callsOutgoing": 1}
        self._store.add("calls", {"personId": lead.person_id, "phone": (lead.phones or [""])[0], "isIncoming": False,
                                  "userId": person["assignedUserId"], "duration": 120, "outcome": "Interested",
                                  "createdById": person["assignedUserId"], "systemName": None})  # fmt: skip

    # answering

    def receive(self, message: AcceptedMessage) -> None:
        """A message arrived at someone: perhaps they answer, by the same channel, after a while."""
        lead = self._by_contact.get(contact_key(message.to))
        if lead is None or lead.opted_out_at is not None:
            return
        if lead.state == "new":
            lead.state = "touched"
        dice, pace = self._dice, self._sandbox.config.pace
        factor = 1.0 if lead.is_new or message.plan == "conversation" else 0.5
        roll = dice.random() * 100 / factor
        intent = _drawn(roll)
        if intent is None:
            if message.channel == "email" and dice.random() < 0.03:
                self._sandbox.scheduler.after(
                    dice.uniform(2, 8) * pace, lambda: self._follow_unsubscribe(lead, message)
                )
            return
        if message.plan == "conversation" and len(lead.replies) > 3:
            return
        words = dice.choice(self.sentences[intent])
        delay = dice.uniform(2, 18) * pace
        self._sandbox.scheduler.after(delay, lambda: self._answer(lead, message, intent, words))
        if dice.random() < 0.1:
            more = dice.choice(self.sentences["question"])
            self._sandbox.scheduler.after(delay + 0.5, lambda: self._answer(lead, message, "question", more))
        if intent == "interested" and dice.random() < 0.2:
            self._later(delay + 10 * pace, lambda: self._agent_writes(lead))

    async def _answer(self, lead: Lead, message: AcceptedMessage, intent: str, words: str) -> None:
        if lead.opted_out_at is not None:
            return
        if message.channel == "email":
            if intent == "complaint" and self._dice.random() < 0.5:
                await self._aws.complain(message)
                self._opted_out(lead, "email", "complaint event")
                return
            taken = await self._aws.inbound(message.to, words, to=message.reply_to, in_reply_to=message)
        else:
            taken = await self._twilio.inbound(message.to, words, channel=message.channel)
        self._note(lead, message.channel, intent, words, taken=taken)

    async def say(self, channel: str, sender: str, words: str) -> bool:
        """A scripted inbound, for tests: the intent is not known to the truth."""
        lead = self._by_contact.get(contact_key(sender))
        if channel == "email":
            last = next((m for m in reversed(self._sandbox.accepted) if m.to.lower() == sender.lower()), None)
            to = last.reply_to if last else "hello@in.demo-realty.example"
            taken = await self._aws.inbound(sender, words, to=to, in_reply_to=last)
        else:
            taken = await self._twilio.inbound(sender, words, channel=channel)
        if lead is not None:
            self._note(lead, channel, "scripted", words, taken=taken)
        return taken

    def _note(self, lead: Lead, channel: str, intent: str, words: str, *, taken: bool) -> None:
        lead.replies.append(
            {"channel": channel, "intent": intent, "body": words, "at": iso(self._sandbox.now()), "is_taken": taken}
        )
        lead.state = "replied" if lead.state != "opted_out" else lead.state
        if intent in STOPPERS and taken:
            self._opted_out(lead, channel, words)

    def _opted_out(self, lead: Lead, channel: str, words: str) -> None:
        lead.opted_out_at = lead.opted_out_at or self._sandbox.now()
        lead.opted_out_wall_at = lead.opted_out_wall_at or self._sandbox.wall()
        lead.opted_out.append({"channel": channel, "words": words, "at": iso(self._sandbox.now()),
                               "wall_at": iso(self._sandbox.wall())})  # fmt: skip
        lead.state = "opted_out"

    async def _follow_unsubscribe(self, lead: Lead, message: AcceptedMessage) -> None:
        """A scanner follows the link first (which must not unsubscribe), then the mailbox provider posts."""
        found = re.search(r"<(https?://[^>]+)>", message.headers.get("List-Unsubscribe", ""))
        if found is None:
            return
        await self._sandbox.http.get(found.group(1))
        answer = await self._sandbox.http.post(found.group(1), data={"List-Unsubscribe": "One-Click"})
        if answer.status_code == 200:
            self._opted_out(lead, "email", "one-click")

    def _agent_writes(self, lead: Lead) -> None:
        """The assigned agent takes over by a text of their own, seen in the CRM."""
        person = self._store.people.get(lead.person_id)
        if person is None or not lead.phones:
            return
        now = stamp(self._sandbox.now())
        person |= {"lastSentText": now, "lastCommunication": now}
        user_id = person["assignedUserId"]
        self._store.add("textMessages", {"personId": lead.person_id, 
                                         "message": "* Body is hidden for privacy reasons *",
                                         "toNumber": lead.phones[0], "fromNumber": "+15005550099", "isIncoming": False,
                                         "userId": user_id, "createdById": user_id, "isExternal": False,
                                         "systemName": None, "sent": now})  # fmt: skip

    def truth(self) -> list[Row]:
        """The rows of ``GET /_truth/leads``."""
        return [
            {
                "person_id": lead.person_id, "created_at": iso(lead.created_at),
                "created_wall_at": iso(lead.created_wall_at), "is_new": lead.is_new, "state": lead.state,
                "contactable": lead.is_contactable, "phones": lead.phones, "emails": lead.emails,
                "opted_out_at": iso(lead.opted_out_at) if lead.opted_out_at else None,
                "opted_out_wall_at": iso(lead.opted_out_wall_at) if lead.opted_out_wall_at else None,
                "opted_out": lead.opted_out, "replies": lead.replies,
            }
            for lead in self.leads.values()
        ]  # fmt: skip


def _drawn(roll: float) -> str | None:
    """The answer that a roll of a hundred gives; None is silence."""
    total = 0
    for intent, weight in ANSWERS.items():
        total += weight
        if roll < total:
            return intent
    return None


def _as_typed(phone: str, dice: random.Random) -> str:
    """A number as people type it; foreign ones with their country code."""
    if not phone.startswith("+1"):
        return phone
    digits = phone[2:]
    forms = (phone, f"({digits[:3]}) {digits[3:6]}-{digits[6:]}", f"{digits[:3]}-{digits[3:6]}-{digits[6:]}")
    return dice.choice(forms)
