"""Tables of what may be sent: consents, refusals, wishes, what lists outside say of an address or a home.

What lives here: the proofs. What does not: the verdicts made of them (``sending``).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Integer, Table, Text, text

from leadpipe.store.tables.base import CHANNELS, at, jsonb, metadata, one_of, row_id, xid
from leadpipe.store.tables.leads import contact_points

suppressions = Table(
    "suppressions", metadata,
    row_id(),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("channel", Text, nullable=False),  # email | sms | whatsapp | all
    Column("action", Text, nullable=False, server_default="suppress"),  # suppress | lift (START)
    Column("source", Text, nullable=False),  # stop_keyword | phrase | 21610 | bounce | complaint ...
    Column("person_id", BigInteger),
    Column("inbound_id", BigInteger),
    jsonb("evidence"),
    at("at", nullable=False),                       # the lead's own moment
    at("recorded_at", nullable=False),
    xid(),
    one_of("action", ("suppress", "lift")),
    Index("ix_suppressions_point", "contact_point_id"),
    Index("ix_suppressions_recorded", "recorded_at"),
)  # fmt: skip

consents = Table(
    "consents", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id)),
    Column("channel", Text, nullable=False),
    Column("level", Text, nullable=False),  # inquiry | express | pewc
    Column("scope", Text, nullable=False, server_default="marketing"),
    Column("seller", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False),
    jsonb("evidence"),
    at("at", nullable=False),
    at("expires_at"),
    Column("dedupe_key", Text, nullable=False, unique=True),
    at("recorded_at", nullable=False),
    xid(),
    Index("ix_consents_person", "person_id"),
)  # fmt: skip

# What people asked for short of a refusal, on the page of the unsubscribe link; the newest row of an address decides.
preferences = Table(
    "preferences", metadata,
    row_id(),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("person_id", BigInteger),
    Column("channel", Text, nullable=False),        # email
    Column("gap_days", Integer),                    # no more than one marketing message in so many days; null: no wish
    Column("source", Text, nullable=False),         # preference_page
    jsonb("evidence"),
    at("at", nullable=False),
    at("recorded_at", nullable=False),
    xid(),
    one_of("channel", CHANNELS),
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
    at("recorded_at", nullable=False),
    one_of("result", ("yes", "no", "no_data")),
)  # fmt: skip

# The newest look at each listing (market.statuses): a message about a home is judged where no lake is read; no mirror.
listing_statuses = Table(
    "listing_statuses", metadata,
    Column("listing_key", Text, primary_key=True),
    Column("listing_id", Text, nullable=False, server_default=""),  # the MLS's own number, as inquiries name a home
    Column("dataset", Text, nullable=False),
    Column("status", Text, nullable=False),         # Active | Not active: gone since, whatever became of it
    Column("state", Text, nullable=False, server_default=""),
    at("checked_at", nullable=False),
    Index("ix_listing_statuses_listing_id", "listing_id"),
)  # fmt: skip
