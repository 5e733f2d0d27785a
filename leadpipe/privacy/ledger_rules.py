"""Where a person's data lies in the ledger: one rule a table.

What lives here: which rows are a person's, what an erasure makes of them, and why what stays may stay. What does not:
carrying it out (``clear``), the lake's tables (``lake_rules``). A test fails when a table of the ledger is in no rule.

What stays are rows without anything that tells who it was: ids, times, codes. Keys and counts of other tables lean on
them, and they prove that an opt-out was obeyed (compliance C34, C44). An address becomes its salted hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leadpipe.audit.sources import emptied

# Names the statements are given: the person's records, their own contact points, those points and the ones shared with
# somebody else, the erasure's number, the moment, and what the scan looks for as a regular expression.
PERSON = "person_id = any(cast(:people as bigint[]))"
POINT = "contact_point_id = any(cast(:points as bigint[]))"
_MESSAGE = "message_id in (select id from ledger.messages where person_id = any(cast(:people as bigint[])))"
_ERASURE = "cast(:erasure as bigint)"


@dataclass(frozen=True, kw_only=True)
class LedgerRule:
    """One table: whose rows, and what becomes of them.

    Attributes:
        about: what the table holds, as a heading a person reads.
        rows: SQL condition of a person's rows; empty: the table holds nothing about persons.
        clear: by column the SQL that an erasure puts in its place.
        keeps: columns of text or JSON that stay: codes, ids at providers, names of plans. A test fails for a column
            that is in neither, so a new one has to be thought about.
        is_deleted: the rows go whole.
        stays: why what is left may stay.
    """

    about: str
    rows: str = ""
    clear: Mapping[str, str] = field(default_factory=dict[str, str])
    keeps: str = ""
    is_deleted: bool = False
    stays: str = ""


def _nothing(about: str, stays: str) -> LedgerRule:
    return LedgerRule(about=about, stays=stays)


LEDGER: dict[str, LedgerRule] = {
    "people": LedgerRule(
        about="The person's record",
        rows=PERSON,
        clear={
            "first_name": "''", "last_name": "''", "stage": "''", "source": "''", "assigned_to": "null",
            "price_usd": "null", "tags": "'{}'::text[]", "place": "'{}'::jsonb", "custom": "'{}'::jsonb",
            "created_via": "''", "is_new_lead": "false", "deleted_at": "coalesce(deleted_at, :now)",
            "automation_paused_at": "coalesce(automation_paused_at, :now)", "automation_paused_reason": "'erased'",
            "erased_at": "coalesce(erased_at, :now)",
        },
        keeps="outcome",
        stays="the id, so that the CRM's next answer about it is not stored again",
    ),
    "contact_points": LedgerRule(
        about="Email addresses and phone numbers",
        rows="id = any(cast(:points as bigint[]))",
        clear={"address": "case when starts_with(address, 'erased:') then address "
                          "else 'erased:' || ledger.address_hash(kind, address) end"},
        keeps="kind",
        stays="a salted hash, by which the address is known again and never contacted",
    ),
    "person_contact_points": LedgerRule(
        about="Which addresses are the person's",
        rows=PERSON,
        clear={"detached_at": "coalesce(detached_at, :now)", "detached_reason": "'erased'"},
        stays="ids",
    ),
    "inquiries": LedgerRule(
        about="What they asked for",
        rows=PERSON,
        clear={
            "message": "''", "property": "'{}'::jsonb", "source": "''", "answered_at": "coalesce(answered_at, :now)",
        },
        keeps="type outcome",
        stays="ids, times and kind, for speed-to-lead figures",
    ),
    "human_actions": LedgerRule(about="What the team did about them", rows=PERSON, keeps="kind crm_id",
        stays="ids and times"),
    "enrolments": LedgerRule(
        about="Plans they went through", rows=PERSON, clear={"context": "'{}'::jsonb"},
        keeps="plan plan_version state step reason end_reason",
        stays="ids, times, plan"
    ),
    "messages": LedgerRule(
        about="Messages to them",
        rows=PERSON,
        clear={"subject": "''", "body": "''", "evidence": "'{}'::jsonb", "score_pct": "null"},
        keeps="plan plan_version step channel purpose template template_version evidence_hash state code provider "
        "provider_id worker",
        stays="that, when, by which plan and with what outcome it was sent (C44), and the hash of its evidence",
    ),
    "attempts": LedgerRule(about="Tries to hand a message over", rows=_MESSAGE, keeps="worker provider outcome code",
        stays="ids, times and codes"),
    "message_events": LedgerRule(
        about="Moves of a message", rows=_MESSAGE, clear={"detail": emptied("detail", _ERASURE)},
        keeps="from_state to_state event code",
        stays="ids, times and codes",
    ),
    "message_moves": _nothing("The send protocol", "no data of persons"),
    "verdicts": LedgerRule(
        about="Verdicts on messages", rows=_MESSAGE, clear={"detail": emptied("detail", _ERASURE)},
        keeps="moment decision code rule pack_version",
        stays="decision, rule and time: the proof that it was judged",
    ),
    "suppressions": LedgerRule(
        about="Refusals", rows=f"{PERSON} or {POINT}",
        # An erasure's own refusal names its number and nothing else.
        clear={"evidence": f"case when source = 'erased' then evidence else {emptied('evidence', _ERASURE)} end"},
        keeps="channel action source",
        stays="that and when they refused, by channel: kept for ever (C18)",
    ),
    "consents": LedgerRule(
        about="Consents", rows=f"{PERSON} or {POINT}", clear={"evidence": emptied("evidence", _ERASURE)},
        keeps="channel level scope seller source dedupe_key",
        stays="level, source and time, and the digest of the proof: a copy from `person export` can be proven with it",
    ),
    "preferences": LedgerRule(
        about="What they asked for short of a refusal", rows=f"{PERSON} or {POINT}",
        clear={"evidence": emptied("evidence", _ERASURE)},
        keeps="channel source",
        stays="that and when they asked for fewer messages",
    ),
    "inbound_messages": LedgerRule(
        about="Messages from them",
        rows=f"{PERSON} or {POINT}",
        clear={"subject": "''", "body": "''", "full_body": "''", "read_at": "coalesce(read_at, :now)"},
        keeps="channel provider_id to_address intent sentiment reader lease_owner",
        stays="that and when they wrote, and what it was read as",
    ),
    "qualifications": LedgerRule(about="What they told us", rows=PERSON, is_deleted=True),
    "conversations": LedgerRule(about="Where the conversation stands", rows=PERSON, is_deleted=True),
    "handoffs": LedgerRule(about="Hand-offs to an agent", rows=PERSON, is_deleted=True),
    "writebacks": LedgerRule(
        about="Writes to the CRM",
        # What the erasure itself asks of the CRM is still to be carried out.
        rows=f"{PERSON} and not starts_with(marker, 'erase:')",
        clear={
            "payload": "'{}'::jsonb", "code": "null",
            "state": "case when state in ('pending', 'sending') then 'superseded' else state end",
            "done_at": "coalesce(done_at, :now)",
        },
        keeps="kind marker crm_id lease_owner",
        stays="that something was written, and its number there",
    ),
    "quarantine": LedgerRule(
        about="Records that could not be read",
        rows="(record_key = any(cast(:people_text as text[])) and source in ('fub_people', 'fub_contact_point', "
        "'raw.fub__people')) or encode(raw, 'escape') ~* :pattern",
        is_deleted=True,
    ),
    "inbox": LedgerRule(
        about="Notifications as they came",
        rows="encode(body, 'escape') ~* :pattern or headers::text ~* :pattern",
        clear={
            "body": "''::bytea", "headers": "'{}'::jsonb",
            "state": "case when state = 'new' then 'handled' else state end",
            "handled_at": "coalesce(handled_at, :now)",
        },
        keeps="source kind dedupe_key reason lease_owner",
        stays="the sender's number of it, so that a repetition is known",
    ),
    "alerts": LedgerRule(
        about="Alerts to the team",
        rows=PERSON,
        clear={"title": "'erased'", "body": "''", "sent_at": "coalesce(sent_at, :now)"},
        keeps="kind dedupe_key code",
        stays="that there was one",
    ),
    "token_usage": LedgerRule(about="Cost of language models", rows=PERSON, keeps="purpose model",
        stays="counts and cost"),
    "decisions": LedgerRule(
        about="Why a message was planned or not", rows=PERSON, clear={"detail": emptied("detail", _ERASURE)},
        keeps="plan step outcome code run_key",
        stays="plan, outcome, code and time",
    ),
    "number_checks": LedgerRule(about="What lists outside say of their numbers", rows=POINT, is_deleted=True),
    "listing_statuses": _nothing("Which homes were last seen for sale", "no data of persons"),
    "inputs": _nothing("Templates, plans and rules that messages were made from", "no data of persons"),
    "rate_budgets": _nothing("How often providers may be asked", "no data of persons"),
    "heartbeats": _nothing("Signs of life of services", "no data of persons"),
    "service_days": _nothing("How long services ran", "no data of persons"),
    "clock": _nothing("The clock", "no data of persons"),
    "controls": _nothing("Switches", "ids"),
    "watermarks": _nothing("How far was read", "ids and hashes"),
    "erasures": LedgerRule(about="Their requests to be erased", rows="person_ids && cast(:people as bigint[])",
                           keeps="reason actor state needles certificate",
        stays="the number of the person, and counts: the proof of the erasure"),
    "erased_addresses": _nothing("Addresses that are never contacted", "salted hashes"),
    "acts": LedgerRule(about="Acts of the team", rows=PERSON, keeps="kind actor detail",
        stays="ids"),
    "audit": _nothing("The audit log", "ids and hashes"),
    "audit_seals": _nothing("The chain of the audit log", "hashes"),
}  # fmt: skip
