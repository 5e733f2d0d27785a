"""Which tables the audit log covers, and how a row of each is hashed.

What lives here: the tables, the columns that count, the SQL of a row's hash. What does not: sealing, verifying.

Every table here is append-only. Its rows are the audit rows: nobody writes anything twice, and who sends or decides
waits for nothing. A hash covers the columns named and the digest of ``detail``, the one column that an erasure may
empty: it leaves that digest and its own number there, so that the row's hash stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadpipe.store.tables.base import SCHEMA

# What an erasure leaves of a detail: the digest, and which erasure.
DIGEST = "erased_sha256"
ERASURE = "erasure_id"


def emptied(column: str, erasure: str) -> str:
    """The SQL of what an erasure puts in the place of a detail; of one that is empty or emptied already, itself."""
    return (
        f"case when {column} = '{{}}'::jsonb or {column} ? '{DIGEST}' then {column} else jsonb_build_object("
        f"'{ERASURE}', {erasure}, '{DIGEST}', encode(sha256(convert_to({column}::text, 'UTF8')), 'hex')) end"
    )


@dataclass(frozen=True, kw_only=True)
class Source:
    """An append-only table: the columns a row's hash covers, and the JSON column beside them."""

    table: str
    what: str
    columns: tuple[str, ...]
    detail: str = "detail"

    @property
    def row_hash(self) -> str:
        """The SQL of a row's hash: over its columns and over the digest of its detail."""
        return f"sha256({self.core} || ({self.detail_hash}))"

    @property
    def core(self) -> str:
        """The SQL of the bytes of the columns; a null and an empty text differ."""
        parts = ", ".join(f"coalesce({name}::text, chr(1))" for name in self.columns)
        return f"convert_to(concat_ws(chr(31), '{self.table}', {parts}), 'UTF8')"

    @property
    def detail_hash(self) -> str:
        """The SQL of the detail's digest; an emptied one holds it."""
        return (
            f"case when {self.detail} ? '{DIGEST}' then decode({self.detail} ->> '{DIGEST}', 'hex') "
            f"else sha256(convert_to({self.detail}::text, 'UTF8')) end"
        )

    @property
    def name(self) -> str:
        """Schema and table."""
        return f"{SCHEMA}.{self.table}"


SOURCES = (
    Source(
        table="acts",
        what="exports, erasures, settings, the switch",
        columns=("id", "kind", "actor", "person_id", "at"),
    ),
    Source(
        table="consents",
        what="consents",
        columns=tuple(
            "id person_id contact_point_id channel level scope seller source at expires_at dedupe_key "
            "recorded_at".split()
        ),
        detail="evidence",
    ),
    Source(
        table="decisions",
        what="decisions",
        columns=tuple("id person_id plan step outcome code run_key message_id at".split()),
    ),
    Source(
        table="message_events",
        what="sends and every other move of a message",
        columns=tuple("id message_id from_state to_state event code at".split()),
    ),
    Source(
        table="preferences",
        what="wishes for fewer messages",
        columns=tuple("id contact_point_id person_id channel gap_days source at recorded_at".split()),
        detail="evidence",
    ),
    Source(
        table="suppressions",
        what="refusals and their lifting",
        columns=tuple("id contact_point_id channel action source person_id inbound_id at recorded_at".split()),
        detail="evidence",
    ),
    Source(
        table="verdicts",
        what="verdicts",
        columns=tuple("id message_id moment decision code rule until_at pack_version judged_at".split()),
    ),
)
