"""The ledger's tables as SQLAlchemy Core: everything that cannot be recomputed.

What lives here: columns, keys and checks. What does not: how rows are written (each room writes its own) and the
migrations, which must produce exactly this (a test compares).

Conventions: ``bigint`` identity keys unless an id leaves the house (messages: uuid); every table the lake mirrors
carries ``xid``, the transaction that last wrote the row (a trigger renews it on update), so that the mirror reads
versions below the snapshot's xmin and misses none; times come from the clock, never from a column default.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.types import UserDefinedType

SCHEMA = "ledger"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

MESSAGE_STATES = (
    "queued", "held", "blocked", "review", "sending", "accepted", "sent", "delivered", "undelivered", "bounced",
    "complained", "refused", "unknown", "parked", "cancelled", "expired",
)  # fmt: skip
CHANNELS = ("email", "sms", "whatsapp")


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's SQL name."""
        return "xid8"


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _at(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _xid() -> Column[str]:
    return Column("xid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()"))


def _json(name: str) -> Column[object]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"))


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} in ({', '.join(repr(value) for value in values)})", name=column)


clock = Table(
    "clock", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("offset_seconds", Float, nullable=False),
    CheckConstraint("id = 1", name="single"),
)  # fmt: skip

# Small facts shared by all processes: the kill switch ("sending"), go-live, circuit breakers.
controls = Table(
    "controls", metadata,
    Column("key", Text, primary_key=True),
    _json("value"),
    _at("changed_at", nullable=False),
)  # fmt: skip

watermarks = Table(
    "watermarks", metadata,
    Column("source", Text, primary_key=True),
    _json("value"),
    _at("changed_at", nullable=False),
)  # fmt: skip

# What may be asked of a provider now, by context of its limits (store.ledger_budget). Times are the machine's, as
# PostgreSQL tells it: providers recover by it, whatever the simulated clock says.
rate_budgets = Table(
    "rate_budgets", metadata,
    Column("provider", Text, primary_key=True),
    Column("context", Text, primary_key=True),
    Column("limit_calls", Integer),                     # null: this context has no limit of its own
    Column("window_seconds", Float, nullable=False),
    Column("slot_counts", ARRAY(Integer), nullable=False),  # calls by hundredth of the window, the newest last
    Column("newest_slot", BigInteger, nullable=False),
    _at("blocked_until_at"),                            # the provider said when
    _at("bulk_from_at"),                                # the pace of bulk readers
    _at("yield_until_at"),                              # somebody else waits; bulk readers do too
    _at("changed_at", nullable=False),
)  # fmt: skip

# One row per notification from outside, stored before it is answered. `handled_at` null = still to do.
inbox = Table(
    "inbox", metadata,
    _id(),
    Column("source", Text, nullable=False),  # fub | twilio_status | twilio_inbound | ses_event | ...
    Column("kind", Text, nullable=False, server_default=""),  # the provider's event name, e.g. peopleCreated
    Column("dedupe_key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _json("headers"),
    _at("received_at", nullable=False),
    Column("state", Text, nullable=False, server_default="new"),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    _at("lease_expires_at"),
    _at("handled_at"),
    _xid(),
    UniqueConstraint("source", "dedupe_key"),
    _one_of("state", ("new", "handled", "kept_aside")),
    Index("ix_inbox_waiting", "source", "id", postgresql_where=text("state = 'new'")),
    Index("ix_inbox_kept_aside", "source", postgresql_where=text("state = 'kept_aside'")),
)  # fmt: skip

# One row per CRM person, as last read; the canonical lead is the person whose merged_into is null.
people = Table(
    "people", metadata,
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merged_into", BigInteger),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("last_name", Text, nullable=False, server_default=""),
    Column("stage", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("assigned_user_id", BigInteger),
    Column("assigned_to", Text),
    Column("price_usd", BigInteger),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    _json("place"),                                 # {"zip","city","state","country","basis"}
    _json("custom"),                                # the house's custom fields
    Column("created_via", Text, nullable=False, server_default=""),  # the CRM's createdVia, as it says it
    _at("crm_created_at", nullable=False),
    _at("crm_updated_at", nullable=False),
    _at("last_human_at"),                           # last act of a person of the team seen in the CRM
    _at("last_two_way_at"),                         # last time both sides spoke
    Column("is_new_lead", Boolean, nullable=False, server_default=text("false")),
    Column("outcome", Text),  # why a lead met no plan: no_contact_point ...
    _at("automation_paused_at"),
    Column("automation_paused_reason", Text),
    _at("deleted_at"),
    _at("erased_at"),                               # erased on request: what comes in about them is not stored
    _at("first_seen_at", nullable=False),
    _at("refreshed_at", nullable=False),
    _xid(),
    Index("ix_people_created", "crm_created_at"),
    Index("ix_people_erased", "person_id", postgresql_where=text("erased_at is not null")),
)  # fmt: skip

contact_points = Table(
    "contact_points", metadata,
    _id(),
    Column("kind", Text, nullable=False),  # email | phone
    Column("address", Text, nullable=False),  # lower-cased email or E.164
    Column("is_relay", Boolean, nullable=False, server_default=text("false")),
    Column("is_role", Boolean, nullable=False, server_default=text("false")),
    _at("created_at", nullable=False),
    _xid(),
    UniqueConstraint("kind", "address"),
    _one_of("kind", ("email", "phone")),
)  # fmt: skip

person_contact_points = Table(
    "person_contact_points", metadata,
    Column("person_id", BigInteger, ForeignKey(people.c.person_id), primary_key=True),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), primary_key=True),
    Column("rank", Integer, nullable=False, server_default="0"),  # 0 = the one to use
    _at("detached_at"),
    Column("detached_reason", Text),
    _xid(),
    Index("ix_person_contact_points_point", "contact_point_id"),
)  # fmt: skip

# One row per CRM event that asks for something (inquiry, registration, seller inquiry ...), by the CRM's event id.
inquiries = Table(
    "inquiries", metadata,
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    _json("property"),                              # {"street","city","state","zip","price_usd","mls_number"}
    _at("occurred_at", nullable=False),
    _at("first_seen_at", nullable=False),
    _at("answered_at"),                             # a plan took it up, or `outcome` says why none did
    Column("outcome", Text),
    _xid(),
    Index("ix_inquiries_person", "person_id"),
)  # fmt: skip

# What people of the team did in the CRM, by themselves: it pauses automation for that lead.
human_actions = Table(
    "human_actions", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),           # call | text | email | note
    Column("crm_id", Text, nullable=False),
    Column("user_id", BigInteger),
    _at("at", nullable=False),
    _at("recorded_at", nullable=False),
    _xid(),
    UniqueConstraint("kind", "crm_id"),
    Index("ix_human_actions_person", "person_id"),
)  # fmt: skip

# One passage of a person through a plan; `occurrence` is the n-th time the plan meets that person.
enrolments = Table(
    "enrolments", metadata,
    _id(),
    Column("person_id", BigInteger, ForeignKey(people.c.person_id), nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_version", Text, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("step", Text),  # the step that is due next or waited at
    Column("reason", Text, nullable=False, server_default=""),  # what started it
    _json("context"),                               # inquiry id, listing, event seen ...
    _at("opened_at", nullable=False),
    _at("next_due_at"),
    _at("ended_at"),
    Column("end_reason", Text),
    _xid(),
    UniqueConstraint("person_id", "plan", "occurrence"),
    _one_of("state", ("open", "paused", "done", "ended")),
    Index("uq_enrolments_one_open", "person_id", "plan", unique=True,
          postgresql_where=text("state in ('open', 'paused')")),
    Index("ix_enrolments_due", "next_due_at", postgresql_where=text("state = 'open'")),
)  # fmt: skip

# One row per intent. Two unique constraints hold it (design section 5); the plan's version is no part of a key.
messages = Table(
    "messages", metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("person_id", BigInteger, ForeignKey(people.c.person_id), nullable=False),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("enrolment_id", BigInteger, ForeignKey(enrolments.c.id)),
    Column("plan", Text, nullable=False),
    Column("plan_version", Text, nullable=False, server_default=""),
    Column("step", Text, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("template", Text, nullable=False, server_default=""),
    Column("template_version", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    Column("body", Text, nullable=False),  # the words: the text part, or the SMS
    Column("segments", Integer, nullable=False, server_default="0"),
    Column("score_pct", Float),
    Column("priority", Integer, nullable=False, server_default="50"),  # 0 goes first
    Column("is_model_written", Boolean, nullable=False, server_default=text("false")),
    _json("evidence"),                              # frozen inputs of verdict and words (design 5)
    Column("evidence_hash", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("code", Text),  # reason of the present state: rule code, provider code, cause
    _at("due_at", nullable=False),
    _at("not_before_at"),                           # held until, or next try
    _at("expires_at"),
    Column("provider", Text),
    Column("provider_id", Text),
    Column("worker", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _at("created_at", nullable=False),
    _at("changed_at", nullable=False),
    _at("accepted_at"),
    _xid(),
    UniqueConstraint("contact_point_id", "plan", "step", "occurrence", name="uq_messages_point_intent"),
    UniqueConstraint("person_id", "plan", "step", "occurrence", name="uq_messages_person_intent"),
    UniqueConstraint("provider", "provider_id"),
    _one_of("state", MESSAGE_STATES),
    _one_of("channel", CHANNELS),
    Index("ix_messages_due", "priority", text("coalesce(not_before_at, due_at)"),
          postgresql_where=text("state in ('queued', 'held')")),
    Index("ix_messages_person", "person_id", "created_at"),
    Index("ix_messages_open_point", "contact_point_id",
          postgresql_where=text("state in ('queued', 'held', 'review', 'sending', 'unknown')")),
    Index("ix_messages_unsure", "state", postgresql_where=text("state in ('sending', 'unknown', 'parked', 'review')")),
)  # fmt: skip

# Committed before the call leaves; an attempt without an outcome after a crash is unknown.
attempts = Table(
    "attempts", metadata,
    _id(),
    Column("message_id", UUID(as_uuid=False), ForeignKey(messages.c.id), nullable=False),
    Column("worker", Text, nullable=False),
    Column("provider", Text, nullable=False),
    _at("started_at", nullable=False),
    _at("ended_at"),
    Column("outcome", Text),  # accepted | refused | unknown | not_sent
    Column("code", Text),
    _xid(),
    Index("ix_attempts_message", "message_id"),
    Index("ix_attempts_started", "started_at"),
)  # fmt: skip

message_events = Table(
    "message_events", metadata,
    _id(),
    Column("message_id", UUID(as_uuid=False), nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("event", Text, nullable=False),  # enqueue | claim | outcome | callback | reply | human ...
    Column("code", Text),
    _json("detail"),
    _at("at", nullable=False),
    _xid(),
    Index("ix_message_events_message", "message_id"),
)  # fmt: skip

# The moves the send protocol has, as its migration wrote them; the triggers of messages and message_events hold them.
message_moves = Table(
    "message_moves", metadata,
    Column("event", Text, nullable=False),
    Column("from_state", Text),  # null: the row is new
    Column("to_state", Text, nullable=False),
    UniqueConstraint("event", "from_state", "to_state", postgresql_nulls_not_distinct=True),
)  # fmt: skip

# Every verdict given: at enqueue and again at claim.
verdicts = Table(
    "verdicts", metadata,
    _id(),
    Column("message_id", UUID(as_uuid=False), nullable=False),
    Column("moment", Text, nullable=False),  # enqueue | claim | release
    Column("decision", Text, nullable=False),
    Column("code", Text),
    Column("rule", Text),
    _at("until_at"),
    Column("pack_version", Text, nullable=False),
    _json("detail"),                                # all rule verdicts and the evidence (local times, consent id)
    _at("judged_at", nullable=False),
    _xid(),
    Index("ix_verdicts_message", "message_id"),
)  # fmt: skip

suppressions = Table(
    "suppressions", metadata,
    _id(),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("channel", Text, nullable=False),  # email | sms | whatsapp | all
    Column("action", Text, nullable=False, server_default="suppress"),  # suppress | lift (START)
    Column("source", Text, nullable=False),  # stop_keyword | phrase | 21610 | bounce | complaint ...
    Column("person_id", BigInteger),
    Column("inbound_id", BigInteger),
    _json("evidence"),
    _at("at", nullable=False),                      # the lead's own moment
    _at("recorded_at", nullable=False),
    _xid(),
    _one_of("action", ("suppress", "lift")),
    Index("ix_suppressions_point", "contact_point_id"),
    Index("ix_suppressions_recorded", "recorded_at"),
)  # fmt: skip

consents = Table(
    "consents", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id)),
    Column("channel", Text, nullable=False),
    Column("level", Text, nullable=False),  # inquiry | express | pewc
    Column("scope", Text, nullable=False, server_default="marketing"),
    Column("seller", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False),
    _json("evidence"),
    _at("at", nullable=False),
    _at("expires_at"),
    Column("dedupe_key", Text, nullable=False, unique=True),
    _at("recorded_at", nullable=False),
    _xid(),
    Index("ix_consents_person", "person_id"),
)  # fmt: skip

# What people asked for short of a refusal, on the page of the unsubscribe link; the newest row of an address decides.
preferences = Table(
    "preferences", metadata,
    _id(),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("person_id", BigInteger),
    Column("channel", Text, nullable=False),        # email
    Column("gap_days", Integer),                    # no more than one marketing message in so many days; null: no wish
    Column("source", Text, nullable=False),         # preference_page
    _json("evidence"),
    _at("at", nullable=False),
    _at("recorded_at", nullable=False),
    _xid(),
    _one_of("channel", CHANNELS),
    Index("ix_preferences_point", "contact_point_id"),
    Index("ix_preferences_xid", text("((xid::text)::bigint)"), postgresql_using="brin",
          postgresql_with={"pages_per_range": 16, "autosummarize": "on"}),
)  # fmt: skip

# What lists outside say of a number, the newest answer for each list; no mirror.
number_checks = Table(
    "number_checks", metadata,
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), primary_key=True),
    Column("list", Text, primary_key=True),  # dnc | reassigned | state:TX
    Column("result", Text, nullable=False),  # yes | no | no_data
    Column("checked_at", Date, nullable=False),  # the day the list is of
    _at("recorded_at", nullable=False),
    _one_of("result", ("yes", "no", "no_data")),
)  # fmt: skip

# One row per inbound message. `read_at` null = unread: every message to that contact point holds until it is read.
inbound_messages = Table(
    "inbound_messages", metadata,
    _id(),
    Column("channel", Text, nullable=False),
    Column("provider_id", Text, nullable=False),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("person_id", BigInteger),
    Column("in_reply_to", UUID(as_uuid=False)),  # our message, when known
    Column("to_address", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    Column("body", Text, nullable=False),  # quoted text cut off
    Column("full_body", Text, nullable=False, server_default=""),
    _at("received_at", nullable=False),
    _at("read_at"),
    Column("intent", Text),
    Column("sentiment", Text),
    Column("confidence", Float),
    Column("reader", Text),  # keyword | phrase | openai:<model> | local:<version>
    Column("is_auto_reply", Boolean, nullable=False, server_default=text("false")),
    Column("lease_owner", Text),
    _at("lease_expires_at"),
    _xid(),
    UniqueConstraint("channel", "provider_id"),
    Index("ix_inbound_messages_unread", "contact_point_id", postgresql_where=text("read_at is null")),
    Index("ix_inbound_messages_point", "contact_point_id"),
    Index("ix_inbound_messages_person", "person_id"),
)  # fmt: skip

# One row per fact a lead told us, with the sentence it came from.
qualifications = Table(
    "qualifications", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),  # timeline_months | budget_low_usd | zip | side ...
    Column("value", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("inbound_id", BigInteger),
    _at("at", nullable=False),
    _xid(),
    Index("ix_qualifications_person", "person_id"),
)  # fmt: skip

conversations = Table(
    "conversations", metadata,
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),  # open | handed_off | paused | closed
    Column("awaits", Text, nullable=False),  # lead | agent | nobody
    Column("reason", Text, nullable=False, server_default=""),
    Column("turns", Integer, nullable=False, server_default="0"),
    Column("assigned_user_id", BigInteger),
    _at("since_at", nullable=False),
    _at("last_inbound_at"),
    _at("last_outbound_at"),
    _at("changed_at", nullable=False),
    _xid(),
)  # fmt: skip

handoffs = Table(
    "handoffs", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("inbound_id", BigInteger),
    Column("assigned_user_id", BigInteger),
    _at("opened_at", nullable=False),
    _at("last_alert_at"),
    Column("alerts", Integer, nullable=False, server_default="0"),
    _at("closed_at"),
    Column("closed_by", Text),
    _xid(),
    Index("uq_handoffs_one_open", "person_id", unique=True, postgresql_where=text("closed_at is null")),
)  # fmt: skip

# Every intended write to the CRM, journalled first; `marker` travels in the note so that a crash never writes it twice.
writebacks = Table(
    "writebacks", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # note | tags | fields | task | stage | delete_person
    Column("marker", Text, nullable=False, unique=True),
    _json("payload"),
    Column("priority", Integer, nullable=False, server_default="50"),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("code", Text),
    Column("crm_id", Text),
    _at("created_at", nullable=False),
    _at("not_before_at"),
    _at("started_at"),
    _at("done_at"),
    Column("lease_owner", Text),
    _at("lease_expires_at"),
    _xid(),
    _one_of("state", ("pending", "sending", "done", "failed", "superseded")),
    Index("ix_writebacks_pending", "priority", "id", postgresql_where=text("state in ('pending', 'sending')")),
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata,
    _id(),
    Column("source", Text, nullable=False),  # fub_people | fub_events | phone | webhook | csv ...
    Column("record_key", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    _at("at", nullable=False),
    _xid(),
    UniqueConstraint("source", "record_key", "reason"),
)  # fmt: skip

alerts = Table(
    "alerts", metadata,
    _id(),
    Column("kind", Text, nullable=False),  # handoff | webhook_missing | run_failed | high_score | parked ...
    Column("dedupe_key", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),  # ids only, no contact details
    Column("person_id", BigInteger),
    _at("created_at", nullable=False),
    _at("sent_at"),
    Column("code", Text),
    Index("ix_alerts_unsent", "id", postgresql_where=text("sent_at is null")),
)  # fmt: skip

token_usage = Table(
    "token_usage", metadata,
    _id(),
    Column("purpose", Text, nullable=False),  # read | draft
    Column("model", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("is_estimate", Boolean, nullable=False, server_default=text("false")),
    Column("person_id", BigInteger),
    _at("at", nullable=False),
    _xid(),
)  # fmt: skip

# Why a lead got no message: one row per lead, plan and planning run that ended without an intent.
decisions = Table(
    "decisions", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("plan", Text, nullable=False),
    Column("step", Text, nullable=False, server_default=""),
    Column("outcome", Text, nullable=False),  # enqueued | held | blocked | no_contact_point | outranked ...
    Column("code", Text),
    Column("run_key", Text, nullable=False, server_default=""),
    Column("message_id", UUID(as_uuid=False)),
    _json("detail"),
    _at("at", nullable=False),
    _xid(),
    Index("ix_decisions_person", "person_id"),
)  # fmt: skip

# One row per sign of life of a service, by the machine's clock: a jump of a simulated calendar is no outage. Pruned
# after a few days; what it adds up to stays in service_days.
heartbeats = Table(
    "heartbeats", metadata,
    _id(),
    Column("service", Text, nullable=False),  # gateway | dagster | send-worker
    Column("instance", Text, nullable=False),  # host and process
    Column("state", Text, nullable=False, server_default="up"),
    _json("detail"),                                # {"rss_bytes", "started_at"}; no contact details
    _at("beat_at", nullable=False),
    _one_of("state", ("up", "stopped")),
    Index("ix_heartbeats_service", "service", "beat_at"),
    Index("ix_heartbeats_at", "beat_at"),
)  # fmt: skip

# One row per service and day of the team: how long it was to run, and how long it did.
service_days = Table(
    "service_days", metadata,
    Column("service", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("seconds_expected", Float, nullable=False),
    Column("seconds_up", Float, nullable=False),
    Column("outages", Integer, nullable=False),
    Column("longest_outage_seconds", Float, nullable=False),
    _at("counted_at", nullable=False),
    _xid(),
)  # fmt: skip

# One row per request to erase a person. The certificate holds counts and places; `needles` what the scan looks for,
# and only until it has looked.
erasures = Table(
    "erasures", metadata,
    _id(),
    Column("person_id", BigInteger, nullable=False),
    Column("person_ids", ARRAY(BigInteger), nullable=False),  # the records of that person, merged ones too
    Column("reason", Text, nullable=False, server_default=""),
    Column("actor", Text, nullable=False),
    Column("state", Text, nullable=False),
    _json("needles"),
    _json("certificate"),
    _at("requested_at", nullable=False),
    _at("done_at"),
    _one_of("state", ("requested", "cleared", "done")),
)  # fmt: skip

# What stays of an erased address: a salted hash, by which the address is known again and never contacted.
erased_addresses = Table(
    "erased_addresses", metadata,
    Column("kind", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("erasure_id", BigInteger, ForeignKey(erasures.c.id), nullable=False),
    _at("at", nullable=False),
)  # fmt: skip

# What people did that no other table tells: exports, erasures, settings, the switch. Ids and hashes, append-only.
acts = Table(
    "acts", metadata,
    _id(),
    Column("kind", Text, nullable=False),           # export | erasure | settings | sending | retention ...
    Column("actor", Text, nullable=False),          # account@machine, or system
    Column("person_id", BigInteger),
    _json("detail"),
    _at("at", nullable=False),
    _xid(),
    Index("ix_acts_xid", text("((xid::text)::bigint)"), postgresql_using="brin",
          postgresql_with={"pages_per_range": 16, "autosummarize": "on"}),
)  # fmt: skip

# The audit log: one row per row of an append-only table, in the order they were sealed, with that row's hash.
audit = Table(
    "audit", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("seal_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),         # the table
    Column("row_id", BigInteger, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
    UniqueConstraint("source", "row_id"),
)  # fmt: skip

# One link of the chain per sealing: its hash covers the rows of it and the link before.
audit_seals = Table(
    "audit_seals", metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("below_xid", BigInteger, nullable=False),  # everything written by older transactions is sealed
    Column("first_seq", BigInteger, nullable=False),
    Column("count_rows", BigInteger, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    _at("sealed_at", nullable=False),
)  # fmt: skip

# Templates, plans, packs and settings that decisions were made from: one row a distinct text (store.inputs).
inputs = Table(
    "inputs", metadata,
    Column("kind", Text, primary_key=True),  # template | plan | pack | settings | answers | prompt
    Column("version", Text, primary_key=True),  # as messages and verdicts name it
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content", Text, nullable=False),
    _at("recorded_at", nullable=False),
)  # fmt: skip

# Tables whose rows the lake mirrors, every version once, keyed by the columns named.
MIRRORED: dict[str, tuple[str, ...]] = {
    "inbox": ("id",),
    "people": ("person_id",),
    "contact_points": ("id",),
    "person_contact_points": ("person_id", "contact_point_id"),
    "inquiries": ("event_id",),
    "human_actions": ("id",),
    "enrolments": ("id",),
    "messages": ("id",),
    "attempts": ("id",),
    "message_events": ("id",),
    "verdicts": ("id",),
    "suppressions": ("id",),
    "consents": ("id",),
    "inbound_messages": ("id",),
    "qualifications": ("id",),
    "conversations": ("person_id",),
    "handoffs": ("id",),
    "writebacks": ("id",),
    "quarantine": ("id",),
    "token_usage": ("id",),
    "decisions": ("id",),
    "service_days": ("service", "day"),
}
# What stays in the ledger: raw webhook bodies, quarantined records, and the addresses themselves.
NOT_MIRRORED: dict[str, tuple[str, ...]] = {
    "inbox": ("body", "headers"),
    "quarantine": ("raw",),
    "contact_points": ("address",),
    # raw.fub__people has it.
    "people": ("created_via", "erased_at"),
}
# The mirror asks every minute for the rows of the last transactions. A block-range index answers from a few pages and,
# unlike a B-tree, leaves updates heap-only; xid8 itself has no such operator class, its number has.
XID_NUMBER = "((xid::text)::bigint)"
for _name in MIRRORED:
    Index(
        f"ix_{_name}_mirror",
        text(XID_NUMBER),
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
        _table=metadata.tables[f"{SCHEMA}.{_name}"],
    )
