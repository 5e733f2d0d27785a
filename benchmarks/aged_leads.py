"""A generated ledger of aged leads: mixed consents, stages, ages, places, scores and histories, from one seed.

What lives here: the mix and how it is written. What does not: what is measured on it (``plan``).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.crm.inquiries import Inquiry
from leadpipe.crm.mapping import ConsentProof, Person
from leadpipe.crm.people import upsert_people
from leadpipe.leads.identity import EmailPoint, PhonePoint

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.runtime import Runtime

BATCH = 10_000
COUNT_ZIPS = 2_000
FIRST_NAMES = "Ana Bo Carla Dev Eli Fay Gus Hana Ivan Jo Kim Lou Mia Noor Omar Pia Quinn Rosa Sam Tia Uma Vic".split()
STAGES = ("Lead", "Contacted", "Nurture", "Closed", "Under Contract", "Trash")
STAGE_WEIGHTS = (55, 25, 13, 3, 1, 3)
REASONS = (
    "Asked about a home twice in the last months",
    "Looked at many homes since arriving",
    "Came by referral",
    "No visit for a long time",
)


@dataclass(frozen=True, kw_only=True)
class _Place:
    zip: str
    city: str
    state: str
    area: str


def generate(runtime: Runtime, *, leads: int, seed: int = 7, has_histories: bool = False) -> None:
    """Fill an empty, set-up system with this many people, their consents, refusals, past passages and scores.

    The mix, in hundredths: 92 have an email (5 of them a portal's relay address), 80 a phone, 30 written consent to
    texts, 7 live abroad and opted in to WhatsApp, 7 stand in a stage that ends plans, 2 are paused, 3 have refused, 2
    bounced, 6 spoke with the team lately, 8 went through the plan before, 1 shares an address with another record.
    Of the numbers, 98 in a hundred are still theirs by today's answer, of the others nothing is known.

    With histories, those who went through the plan before have the email of each round, sent and delivered; 5 in a
    hundred once wrote to us, 5 were texted or called by an agent, 3 of the US numbers are on the do-not-call registry,
    and 90 are known not to be.
    """
    dice = random.Random(seed)
    now = runtime.clock.now()
    places = _places(dice)
    for start in range(1, leads + 1, BATCH):
        ids = range(start, min(start + BATCH, leads + 1))
        upsert_people(runtime.engine, [_person(person_id, dice, places, now) for person_id in ids], now=now)
        _inquiries(runtime.engine, [_inquiry(person_id, dice, places, now) for person_id in ids], now)
    _pasts(runtime.engine, now)
    if has_histories:
        _histories(runtime.engine, now)
    runtime.lake.append("scoring.lead_scores", _scores(leads, dice, now))
    runtime.lake.append("enrichment.market_trend", _trend(places, dice, now))


def _places(dice: random.Random) -> list[_Place]:
    import zipcodes

    rows = [row for row in zipcodes.list_all() if row.get("area_codes") and row.get("timezone") and row["active"]]
    return [
        _Place(zip=row["zip_code"], city=row["city"].title(), state=row["state"], area=str(row["area_codes"][0]))
        for row in dice.sample(rows, COUNT_ZIPS)
    ]


def _person(person_id: int, dice: random.Random, places: list[_Place], now: datetime) -> Person:
    place = dice.choice(places)
    is_abroad = dice.random() < 0.07
    created_at = now - timedelta(days=dice.uniform(95, 1090))
    number = f"+44770{person_id:07d}" if is_abroad else f"+1{place.area}{2_000_000 + person_id % 8_000_000:07d}"
    roll = dice.random()
    emails: tuple[EmailPoint, ...] = ()
    if roll < 0.92:
        shared = person_id - 1 if roll < 0.01 and person_id > 1 else person_id
        is_relay = 0.01 <= roll < 0.06
        domain = "convo.zillow.com" if is_relay else "example.com"
        emails = (EmailPoint(address=f"lead{shared}@{domain}", is_relay=is_relay),)
    phones = (PhonePoint(address=number),) if is_abroad or dice.random() < 0.8 or not emails else ()
    return Person(
        person_id=person_id,
        first_name=dice.choice(FIRST_NAMES),
        last_name="Example",
        stage=dice.choices(STAGES, STAGE_WEIGHTS)[0],
        source=dice.choice(("Zillow", "Website", "Referral", "Open House")),
        assigned_user_id=1 + person_id % 9,
        assigned_to=f"Agent {1 + person_id % 9}",
        price_usd=dice.randrange(180, 900) * 1000,
        tags=(),
        place={}
        if is_abroad
        else {"zip": place.zip, "city": place.city, "state": place.state, "country": "US", "basis": "address"},
        custom={"customLanguage": "es"} if dice.random() < 0.08 else {},
        crm_created_at=created_at,
        crm_updated_at=created_at + timedelta(days=3),
        last_human_at=created_at + timedelta(hours=2),
        last_two_way_at=now - timedelta(days=dice.uniform(1, 85)) if dice.random() < 0.06 else created_at,
        emails=emails,
        phones=phones,
        consents=tuple(_consents(person_id, dice, phones, created_at, is_abroad=is_abroad)),
    )


def _consents(
    person_id: int, dice: random.Random, phones: tuple[PhonePoint, ...], at: datetime, *, is_abroad: bool
) -> Iterator[ConsentProof]:
    channels = ["sms"] if phones and dice.random() < 0.37 else []
    for channel in [*channels, *(["whatsapp"] if is_abroad else [])]:
        yield ConsentProof(
            channel=channel,
            level="pewc",
            scope="marketing",
            source="web_form",
            at=at,
            address=phones[0].address,
            evidence={
                "signer": "as given",
                "number": "as given",
                "seller": "ours",
                "disclosure": "I agree that Demo Realty may text me, also automatically; not a condition.",
                "ip": "192.0.2.44",
            },
            dedupe_key=f"{channel}:{person_id}",
        )


def _inquiry(person_id: int, dice: random.Random, places: list[_Place], now: datetime) -> Inquiry:
    place = dice.choice(places)
    kind = dice.choice(("Property Inquiry", "Registration", "Seller Inquiry"))
    home: dict[str, Any] = {}
    if kind == "Property Inquiry":
        home = {"street": f"{person_id} Oak St", "city": place.city, "state": place.state, "zip": place.zip}
    return Inquiry(
        event_id=person_id,
        person_id=person_id,
        type=kind,
        source="Zillow",
        message="I would like to know more.",
        property=home,
        occurred_at=now - timedelta(days=1095),
    )


def _inquiries(engine: Engine, inquiries: list[Inquiry], now: datetime) -> None:
    """Answered inquiries of the day each person was created, with the consent they carry."""
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("create temp table if not exists asked (event_id bigint, type text, home jsonb) on commit drop")
        with cursor.copy("copy asked from stdin") as copy:  # type: ignore[attr-defined]
            for i in inquiries:
                copy.write_row((i.event_id, i.type, json.dumps(i.property)))
        cursor.execute(
            "insert into ledger.inquiries (event_id, person_id, type, source, message, property, occurred_at, "
            "first_seen_at, answered_at, outcome) select a.event_id, a.event_id, a.type, 'Zillow', '', a.home, "
            "p.crm_created_at, %(now)s, p.crm_created_at, 'not_new' "
            "from asked a join ledger.people p on p.person_id = a.event_id",
            {"now": now},
        )
        cursor.execute(
            "insert into ledger.consents (person_id, channel, level, scope, seller, source, evidence, at, expires_at, "
            "dedupe_key, recorded_at) select i.person_id, c, 'inquiry', 'inquiry:' || i.event_id, 'ours', 'zillow', "
            "'{}', i.occurred_at, i.occurred_at + interval '90 days', 'inquiry:' || c || ':' || i.event_id, %(now)s "
            "from ledger.inquiries i join asked using (event_id) cross join unnest(array['sms', 'email']) c",
            {"now": now},
        )


def _pasts(engine: Engine, now: datetime) -> None:
    """Refusals, bounces, pauses and former rounds, by fixed shares of the ids."""
    statements = (
        "insert into ledger.suppressions (contact_point_id, channel, source, person_id, at, recorded_at) "
        "select o.contact_point_id, 'all', 'stop_keyword', o.person_id, %(past)s, %(past)s "
        "from ledger.person_contact_points o where o.person_id %% 100 in (11, 44, 77)",
        "insert into ledger.suppressions (contact_point_id, channel, source, person_id, at, recorded_at) "
        "select o.contact_point_id, 'email', 'bounce', o.person_id, %(past)s, %(past)s "
        "from ledger.person_contact_points o join ledger.contact_points c on c.id = o.contact_point_id "
        "where c.kind = 'email' and o.person_id %% 100 in (12, 45)",
        "update ledger.people set automation_paused_at = %(past)s, automation_paused_reason = 'human_acted' "
        "where person_id %% 100 in (13, 46)",
        "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, state, step, opened_at, ended_at, "
        "end_reason) select p.person_id, 'reactivation', 'former', n, 'done', 'done', "
        "%(past)s - make_interval(days => 50 * (4 - n)), %(past)s, 'silence' "
        "from ledger.people p cross join generate_series(1, 3) n "
        "where p.person_id %% 100 between 20 and 27 and n <= 1 + p.person_id %% 3",
        "insert into ledger.number_checks (contact_point_id, list, result, checked_at, recorded_at) "
        "select id, 'reassigned', case when id %% 50 = 0 then 'no_data' else 'no' end, cast(%(now)s as date), %(now)s "
        "from ledger.contact_points where kind = 'phone'",
        "analyze ledger.people, ledger.contact_points, ledger.number_checks, ledger.person_contact_points, "
        "ledger.consents, ledger.inquiries, ledger.suppressions, ledger.enrolments",
    )
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        for statement in statements:
            cursor.execute(statement, {"past": now - timedelta(days=60), "now": now})


def _histories(engine: Engine, now: datetime) -> None:
    """What went to and fro before, and what the registry knows."""
    statements = (
        # Messages in the middle of their life: the triggers that hold their moves are for those who send.
        "set local session_replication_role = replica",
        "insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, plan_version, step, "
        "occurrence, channel, purpose, template, subject, body, state, due_at, provider, provider_id, attempts, "
        "created_at, changed_at, accepted_at) select gen_random_uuid(), e.person_id, c.id, e.id, e.plan, 'former', "
        "'still_looking', e.occurrence, 'email', 'marketing', 'still_looking_email', 'Still looking?', 'Hi.', "
        "'delivered', e.opened_at, 'ses', 'former-' || e.id, 1, e.opened_at, e.opened_at, e.opened_at "
        "from ledger.enrolments e join ledger.person_contact_points o on o.person_id = e.person_id and o.rank = 0 "
        "join ledger.contact_points c on c.id = o.contact_point_id and c.kind = 'email' on conflict do nothing",
        "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, person_id, body, received_at, "
        "read_at) select case c.kind when 'email' then 'email' else 'sms' end, concat('old-', o.person_id, '-', c.id)"
        ", c.id, o.person_id, 'Not now.', %(past)s, %(past)s from ledger.person_contact_points o "
        "join ledger.contact_points c on c.id = o.contact_point_id where o.person_id %% 100 between 30 and 34",
        "insert into ledger.human_actions (person_id, kind, crm_id, at, recorded_at) "
        "select person_id, case when person_id %% 2 = 0 then 'text' else 'call' end, 'former-' || person_id, %(past)s, "
        "%(past)s from ledger.people where person_id %% 100 between 35 and 39",
        "insert into ledger.number_checks (contact_point_id, list, result, checked_at, recorded_at) "
        "select id, 'dnc', case when id %% 31 = 0 then 'yes' else 'no' end, cast(%(now)s as date) - 6, %(now)s "
        "from ledger.contact_points where kind = 'phone' and address like '+1%%' and id %% 100 >= 7",
        "analyze ledger.messages, ledger.inbound_messages, ledger.human_actions, ledger.number_checks",
    )
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        for statement in statements:
            cursor.execute(statement, {"past": now - timedelta(days=120), "now": now})


def _scores(leads: int, dice: random.Random, now: datetime) -> pa.Table:
    from leadpipe.scoring.tables import LEAD_SCORES_SCHEMA

    pct = [round(dice.betavariate(1, 12) * 100, 3) for _ in range(leads)]
    return pa.table(
        {
            "person_id": list(range(1, leads + 1)),
            "score_pct": pct,
            "priority_band": ["high" if p > 20 else "medium" if p > 8 else "low" for p in pct],
            "reason_1": [REASONS[int(p * 1000) % 4] for p in pct],
            "reason_2": ["Price range fits what is for sale"] * leads,
            "reason_3": ["Arrived long ago"] * leads,
            "model_version": ["bench"] * leads,
            "is_prior": [False] * leads,
            "features": ["{}"] * leads,
            "scored_at": [now] * leads,
        },
        schema=LEAD_SCORES_SCHEMA,
    )


def _trend(places: list[_Place], dice: random.Random, now: datetime) -> pa.Table:
    from leadpipe.market.tables import MARKET_TREND_SCHEMA

    count = len(places)
    return pa.table(
        {
            "zip": [place.zip for place in places],
            "metric": ["zhvi"] * count,
            "month": [(now - timedelta(days=35)).date()] * count,
            "value_usd": [dice.uniform(1e5, 9e5) for _ in places],
            "change_12m_pct": [round(dice.uniform(-6, 9), 2) for _ in places],
            "release": [(now - timedelta(days=20)).date()] * count,
            "attribution": ["Data Provided by Zillow Group."] * count,
        },
        schema=MARKET_TREND_SCHEMA,
    )
