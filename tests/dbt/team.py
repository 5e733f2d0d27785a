"""A small invented team in ledger and CRM, whose figures can be worked out by hand.

What lives here: its rows. What does not: what the marts make of them (the tests beside this file).

Ann is new and answered at once; Ben is new, answered late, and his email bounces; Cy bought; Dee was revived by text
and said STOP; Eve is new and cannot be reached; Flo was merged into Dee; Gus asked twice and his reply is not read yet;
Hal was deleted.
All days are those of Chicago, six hours behind UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Engine, insert, text

from leadpipe.crm import tables as crm
from leadpipe.crm.landing import land
from leadpipe.scoring.tables import LEAD_SCORES, LEAD_SCORES_SCHEMA
from leadpipe.store.bootstrap import SPEND_SCHEMA
from leadpipe.store.lake import Lake
from leadpipe.store.tables import leads, permissions, replies, running, sending

Row = dict[str, Any]
ANN, BEN, CY, DEE, EVE, FLO, GUS, HAL = range(1, 9)
ADA, BO = 2, 3
(ANN_EMAIL, ANN_PHONE, BEN_EMAIL, BEN_PHONE, CY_PHONE, DEE_PHONE, FLO_EMAIL, GUS_EMAIL) = range(1, 9)
ZILLOW, GOOGLE, REFERRAL = "Zillow", "Google", "Referral"
ANN_ASKED, BEN_ASKED, GUS_ASKED_AGAIN, GUS_ASKED = 101, 102, 107, 108


def at(text: str) -> datetime:
    """A UTC time, of 2 March 2026 when only the clock is given."""
    return datetime.fromisoformat(text if "T" in text else f"2026-03-02T{text}").replace(tzinfo=UTC)


def message_id(number: int) -> str:
    """The id of the n-th message."""
    return f"00000000-0000-0000-0000-{number:012d}"


CREATED = {
    ANN: at("15:00:00"), BEN: at("15:10:00"), CY: at("2025-11-10T12:00:00"), DEE: at("2025-11-12T12:00:00"),
    EVE: at("15:20:00"), FLO: at("2025-11-20T12:00:00"), GUS: at("2025-12-01T10:00:00"), HAL: at("2025-11-01T12:00:00"),
}  # fmt: skip


def _person(person_id: int, name: str, source: str, stage: str = "Lead", **more: Any) -> Row:
    return {
        "id": person_id, "firstName": name, "lastName": "Example", "source": source, "stage": stage, "type": "Buyer",
        "created": CREATED[person_id].isoformat(), "updated": CREATED[person_id].isoformat(), **more,
    }  # fmt: skip


def _emails(address: str) -> list[Row]:
    return [{"value": address, "isPrimary": 1}]


def _phones(number: str) -> list[Row]:
    return [{"value": number, "isPrimary": 1}]


def fill_crm(lake: Lake) -> None:
    """What was read from Follow Up Boss: an earlier version of Cy and Hal, then everything as it is now."""
    cy = _person(CY, "Cy", GOOGLE, phones=_phones("+15125550103"))
    hal = _person(HAL, "Hal", GOOGLE)
    flo = _person(FLO, "Flo", "google", emails=_emails("flo@example.com"))
    land(lake, crm.PEOPLE, [cy, hal, flo], landed_by="poll", now=at("2026-03-01T12:00:00"))
    people = [
        _person(ANN, "Ann", ZILLOW, emails=_emails("ann@example.com"), phones=_phones("+15125550101"),
                assignedUserId=ADA, assignedTo="Ada Agent", price=450_000, addresses=[{"code": "78701"}]),
        _person(BEN, "Ben", ZILLOW, emails=_emails("ben@example.com"), phones=_phones("(512) 555-0102"),
                assignedUserId=BO, assignedTo="Bo Broker"),
        cy | {"stage": "Closed"},
        _person(DEE, "Dee", GOOGLE, phones=_phones("+15125550104")),
        _person(EVE, "Eve", ZILLOW),
        _person(GUS, "Gus", REFERRAL, "Nurture", emails=_emails("gus@example.com")),
    ]  # fmt: skip
    now = at("20:00:00")
    land(lake, crm.PEOPLE, people, landed_by="poll", now=now, deleted=[flo, hal])
    events = [
        {"id": event, "personId": person, "type": kind, "source": source, "occurred": when.isoformat()}
        for event, person, kind, source, when in (
            (ANN_ASKED, ANN, "Property Inquiry", ZILLOW, at("15:00:00")),
            (BEN_ASKED, BEN, "Registration", ZILLOW, at("15:10:00")),
            (GUS_ASKED_AGAIN, GUS, "General Inquiry", REFERRAL, at("16:00:00")),
            (GUS_ASKED, GUS, "Registration", REFERRAL, CREATED[GUS]),
        )
    ]
    users = [{"id": ADA, "name": "Ada Agent", "role": "Agent"}, {"id": BO, "name": "Bo Broker", "role": "Broker"}]
    calls = [
        {"id": 901, "personId": CY, "userId": BO, "isIncoming": True, "created": at("18:00:00").isoformat()},
        {"id": 902, "personId": ANN, "userId": ADA, "isIncoming": False, "created": at("15:30:00").isoformat()},
    ]
    texts = [
        {"id": 701, "personId": DEE, "isIncoming": True, "isExternal": False, "sent": at("19:00:00").isoformat()},
        {"id": 702, "personId": DEE, "isIncoming": True, "isExternal": True, "sent": at("16:31:00").isoformat()},
    ]
    appointments = [{"id": 801, "invitees": [{"userId": ADA}, {"personId": ANN}], "start": at("22:00:00").isoformat()}]
    deals = [
        {"id": 1, "people": [{"id": CY}], "stageName": "Closed", "status": "Active", "price": 360_000,
         "commissionValue": 9_000, "enteredStageAt": at("2026-01-20T12:00:00").isoformat()},
        {"id": 2, "people": [{"id": DEE}], "stageName": "Under Contract", "status": "Active", "commissionValue": 7_000},
    ]  # fmt: skip
    for table, payloads in (
        (crm.EVENTS, events), (crm.USERS, users), (crm.CALLS, calls), (crm.TEXT_MESSAGES, texts),
        (crm.APPOINTMENTS, appointments), (crm.DEALS, deals),
    ):  # fmt: skip
        land(lake, table, payloads, landed_by="poll", now=now)


def fill_lake(lake: Lake) -> None:
    """Scores and spend."""
    scores = [
        {"person_id": person, "score_pct": pct, "priority_band": band, "reason_1": reason, "model_version": "v1",
         "is_prior": False, "scored_at": when}
        for person, pct, band, reason, when in (
            (ANN, 80.0, "high", "asked about one home", at("15:01:00")),
            (BEN, 20.0, "low", "no reply yet", at("15:11:00")),
            (BEN, 35.0, "medium", "looked at five homes", at("17:00:00")),
        )
    ]  # fmt: skip
    lake.append(LEAD_SCORES, pa.Table.from_pylist(scores, schema=LEAD_SCORES_SCHEMA))
    spend = [
        {"month": date(2025, 11, 1), "source": "google", "spend_usd": 1_000.0},
        {"month": date(2026, 3, 1), "source": "Zillow", "spend_usd": 400.0},
        {"month": date(2026, 3, 1), "source": " Zillow", "spend_usd": 200.0},
        {"month": date(2026, 3, 1), "source": "Billboard", "spend_usd": 200.0},
    ]
    lake.append("raw.spend", pa.Table.from_pylist(spend, schema=SPEND_SCHEMA))


def fill_ledger(engine: Engine) -> None:
    """What leadpipe did with them."""
    with engine.begin() as connection:
        # Messages in the middle of their lives; the ledger lets none be born there.
        connection.execute(text("set local session_replication_role = replica"))
        for table, rows in _ledger_rows():
            # Identity columns count from one, in the order given here.
            for row in rows:
                connection.execute(insert(table).values(row))


def _ledger_rows() -> list[tuple[Any, list[Row]]]:
    return [
        (leads.people, _people()),
        (leads.contact_points, [{"kind": "phone" if "+" in a else "email", "address": a, "created_at": CREATED[HAL]}
                            for a in ("ann@example.com", "+15125550101", "ben@example.com", "+15125550102",
                                      "+15125550103", "+15125550104", "flo@example.com", "gus@example.com")]),
        (leads.person_contact_points, [{"person_id": person, "contact_point_id": point} for person, point in (
            (ANN, ANN_EMAIL), (ANN, ANN_PHONE), (BEN, BEN_EMAIL), (BEN, BEN_PHONE), (CY, CY_PHONE), (DEE, DEE_PHONE),
            (FLO, FLO_EMAIL), (GUS, GUS_EMAIL))]),
        (leads.inquiries, [{"event_id": event, "person_id": person, "type": "Registration", "occurred_at": when,
                        "first_seen_at": when} for event, person, when in (
            (ANN_ASKED, ANN, at("15:00:00")), (BEN_ASKED, BEN, at("15:10:00")),
            (GUS_ASKED_AGAIN, GUS, at("16:00:00")), (GUS_ASKED, GUS, CREATED[GUS]))]),
        (sending.enrolments, [{"person_id": person, "plan": plan, "plan_version": "1", "occurrence": occurrence,
                         "state": "ended", "reason": "created", "context": {"event_id": event} if event else {},
                         "opened_at": when} for person, plan, occurrence, event, when in (
            (ANN, "new_lead", 1, ANN_ASKED, at("15:00:02")),
            (BEN, "new_lead", 1, BEN_ASKED, at("15:10:02")),
            (DEE, "reactivation", 1, None, at("08:00:00")),
            (FLO, "reactivation", 1, None, at("2026-02-01T08:00:00")),
            (GUS, "new_lead", 1, GUS_ASKED, at("2025-12-01T10:00:03")),
            (GUS, "new_lead", 2, GUS_ASKED_AGAIN, at("16:00:03")))]),
        (sending.messages, [_message(*row) for row in MESSAGES]),
        (sending.message_events, _events()),
        (sending.attempts, [{"message_id": message_id(number), "worker": "w", "provider": provider, "started_at": when,
                       "outcome": outcome} for number, provider, when, outcome in (
            (1, "ses", at("15:00:03"), "accepted"), (3, "ses", at("15:10:03"), "not_sent"),
            (3, "ses", at("15:16:39"), "accepted"), (5, "twilio", at("16:29:59"), "accepted"),
            (6, "ses", at("2026-02-02T15:59:59"), "accepted"), (7, "ses", at("2025-12-01T10:00:09"), "accepted"),
            (8, "ses", at("16:00:06"), "accepted"), (10, "twilio", at("17:00:00"), "refused"))]),
        (permissions.consents, [
            {"person_id": ANN, "channel": "email", "level": "inquiry", "source": "zillow", "at": at("15:00:00"),
             "dedupe_key": "1", "recorded_at": at("15:00:01")},
            {"person_id": DEE, "channel": "sms", "level": "express", "source": "open house",
             "at": at("2025-11-12T12:00:00"), "dedupe_key": "2", "recorded_at": at("2025-11-12T12:00:01")}]),
        (sending.verdicts, _verdicts()),
        (permissions.suppressions, [{"contact_point_id": point, "channel": channel, "source": source, "at": when,
                           "recorded_at": when} for point, channel, source, when in (
            (BEN_EMAIL, "email", "bounce", at("15:16:50")), (DEE_PHONE, "sms", "stop_keyword", at("16:31:00")),
            (DEE_PHONE, "whatsapp", "stop_keyword", at("16:31:00")))]),
        (replies.inbound_messages, [{"channel": channel, "provider_id": f"in{number}", "contact_point_id": point,
                               "person_id": person, "in_reply_to": message_id(number), "body": "words",
                               "received_at": when, "read_at": when if intent else None, "intent": intent,
                               "is_auto_reply": is_auto} for channel, point, person, number, when, intent, is_auto in (
            ("email", ANN_EMAIL, ANN, 1, at("15:05:00"), "interested", False),
            ("sms", DEE_PHONE, DEE, 5, at("16:31:00"), "opt_out", False),
            ("email", GUS_EMAIL, GUS, 8, at("16:20:00"), None, False),
            ("email", GUS_EMAIL, GUS, 7, at("2025-12-01T10:00:30"), "other", True))]),
        (replies.conversations, [{"person_id": person, "state": state, "awaits": awaits, "reason": reason, "turns": 1,
                            "assigned_user_id": agent, "since_at": when, "last_inbound_at": when, "changed_at": when}
                           for person, state, awaits, reason, agent, when in (
            (ANN, "handed_off", "agent", "interested", ADA, at("15:05:00")),
            (BEN, "paused", "nobody", "human_acted", BO, at("16:00:00")),
            (CY, "open", "lead", "resumed", None, at("2026-02-20T12:00:00")),
            (DEE, "closed", "nobody", "opt_out", None, at("16:31:00")))]),
        (replies.handoffs, [
            {"person_id": ANN, "reason": "interested", "assigned_user_id": ADA, "opened_at": at("15:05:10"),
             "alerts": 2},
            {"person_id": GUS, "reason": "question", "assigned_user_id": BO, "opened_at": at("16:21:00"), "alerts": 1,
             "closed_at": at("16:31:00"), "closed_by": "call"}]),
        (leads.human_actions, [{"person_id": person, "kind": kind, "crm_id": str(number), "user_id": user, "at": when,
                            "recorded_at": when} for number, (person, kind, user, when) in enumerate((
            (ANN, "call", ADA, at("15:30:00")), (ANN, "note", ADA, at("15:31:00")),
            (BEN, "text", None, at("16:00:00")), (CY, "call", 99, at("2026-03-03T03:00:00"))))]),
        (replies.token_usage, [{"purpose": purpose, "model": "gpt-5-mini", "input_tokens": read, "cached_tokens": 0,
                          "output_tokens": written, "cost_usd": usd, "person_id": ANN, "at": at("15:05:00")}
                         for purpose, read, written, usd in (
            ("read", 1_000, 100, 0.0005), ("draft", 500, 200, 0.001))]),
        (running.service_days, [{"service": service, "day": date(2026, 3, 2), "seconds_expected": 86_400.0,
                           "seconds_up": up, "outages": outages, "longest_outage_seconds": 86_400.0 - up,
                           "counted_at": at("21:00:00")} for service, up, outages in (
            ("gateway", 86_400.0, 0), ("dagster", 86_300.0, 1))]),
    ]  # fmt: skip


def _people() -> list[Row]:
    outcomes = {ANN: "enrolled", BEN: "enrolled", EVE: "no_contact_point", GUS: "enrolled", CY: "not_new"}
    return [
        {
            "person_id": person, "merged_into": DEE if person == FLO else None, "crm_created_at": created,
            "crm_updated_at": created, "first_seen_at": created, "refreshed_at": created,
            "is_new_lead": person in (ANN, BEN, EVE, GUS), "outcome": outcomes.get(person),
            "deleted_at": at("20:00:00") if person == HAL else None,
            "last_two_way_at": at("15:05:00") if person == ANN else None,
            "assigned_user_id": {ANN: ADA, BEN: BO}.get(person),
        }
        for person, created in CREATED.items()
    ]  # fmt: skip


# number, person, point, enrolment, plan, step, template, channel, occurrence, segments, state, code, created
MESSAGES: list[tuple[Any, ...]] = [
    (1, ANN, ANN_EMAIL, 1, "new_lead", "welcome_email", "welcome_email", "email", 1, 0, "delivered", None, "15:00:02"),
    (2, ANN, ANN_PHONE, 1, "new_lead", "welcome_sms", "welcome_sms", "sms", 1, 2, "held", "quiet_hours", "15:00:04"),
    (3, BEN, BEN_EMAIL, 2, "new_lead", "welcome_email", "welcome_email", "email", 1, 0, "bounced", "hard", "15:10:02"),
    (4, BEN, BEN_PHONE, 2, "new_lead", "welcome_sms", "welcome_sms", "sms", 1, 1, "cancelled", "human", "15:17:00"),
    (5, DEE, DEE_PHONE, 3, "reactivation", "ask", "still_looking_sms", "sms", 1, 1, "delivered", None, "08:00:00"),
    (6, FLO, FLO_EMAIL, 4, "reactivation", "ask", "still_looking_email", "email", 1, 0, "delivered", None,
     "2026-02-02T08:00:00"),
    (7, GUS, GUS_EMAIL, 5, "new_lead", "welcome_email", "welcome_email", "email", 1, 0, "delivered", None,
     "2025-12-01T10:00:03"),
    (8, GUS, GUS_EMAIL, 6, "new_lead", "welcome_email", "welcome_email", "email", 2, 0, "delivered", None, "16:00:03"),
    (9, DEE, DEE_PHONE, 3, "reactivation", "offer", "offer_sms", "sms", 1, 1, "blocked", "suppressed", "16:32:00"),
    (10, CY, CY_PHONE, None, "reactivation", "ask", "still_looking_sms", "sms", 1, 1, "refused", "30006", "16:59:00"),
]  # fmt: skip
ACCEPTED = {
    1: "15:00:04", 3: "15:16:40", 5: "16:30:00", 6: "2026-02-02T16:00:00", 7: "2025-12-01T10:00:10", 8: "16:00:07",
}  # fmt: skip
ENDED = {
    1: "15:00:06", 3: "15:16:50", 5: "16:30:02", 6: "2026-02-02T16:00:03", 7: "2025-12-01T10:00:12", 8: "16:00:09",
    10: "17:00:01",
}  # fmt: skip


def _message(
    number: int, person: int, point: int, enrolment: int | None, plan: str, step: str, template: str, channel: str,
    occurrence: int, segments: int, state: str, code: str | None, created: str,
) -> Row:  # fmt: skip
    return {
        "id": message_id(number), "person_id": person, "contact_point_id": point, "enrolment_id": enrolment,
        "plan": plan, "plan_version": "1", "step": step, "template": template, "template_version": "1",
        "channel": channel, "purpose": "marketing", "occurrence": occurrence, "segments": segments, "body": "words",
        "state": state, "code": code, "due_at": at(created), "created_at": at(created), "changed_at": at(created),
        "score_pct": 80.0 if person == ANN else None,
        "provider": {"email": "ses", "sms": "twilio"}[channel] if number in ENDED else None,
        "provider_id": f"p{number}" if number in ACCEPTED else None,
        "accepted_at": at(ACCEPTED[number]) if number in ACCEPTED else None,
    }  # fmt: skip


def _events() -> list[Row]:
    rows: list[Row] = []
    for number, *_, state, code, created in MESSAGES:
        first = state if number not in ENDED else "queued"
        steps = [(None, first, "enqueue", created, code if number not in ENDED else None)]
        if number in ENDED:
            ended = ENDED[number]
            steps.append(("queued", "sending", "claim", ACCEPTED.get(number, ended), None))
            if number in ACCEPTED:
                steps.append(("sending", "accepted", "outcome", ACCEPTED[number], None))
            steps.append((steps[-1][1], state, "callback", ended, code))
        rows += [
            {"message_id": message_id(number), "from_state": before, "to_state": after, "event": event, "code": why,
             "at": at(when)}
            for before, after, event, when, why in steps
        ]  # fmt: skip
    return rows


def _verdicts() -> list[Row]:
    consent_of = {1: 1, 5: 2}
    rows = [
        {"message_id": message_id(number), "moment": "claim", "decision": "ALLOW", "pack_version": "p1",
         "detail": {"evidence": {"consent_id": consent_of.get(number)}}, "judged_at": at(when)}
        for number, when in ACCEPTED.items()
    ]  # fmt: skip
    for number, decision, code, rule in ((2, "HOLD", "quiet_hours", "C14"), (9, "BLOCK", "suppressed", "C1")):
        rows.append({"message_id": message_id(number), "moment": "enqueue", "decision": decision, "code": code,
                     "rule": rule, "pack_version": "p1", "detail": {}, "judged_at": at("16:32:00")})  # fmt: skip
    return rows
