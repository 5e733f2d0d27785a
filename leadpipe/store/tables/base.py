"""What all tables of the ledger have in common: schema, names of constraints, and the columns that recur.

What lives here: the metadata, the channels, the recurring columns. What does not: any table. The metadata is
whole whoever asks, for importing any module of this package imports them all.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
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
CHANNELS = ("email", "sms", "whatsapp")


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's SQL name."""
        return "xid8"


def row_id() -> Column[int]:
    """The identity key of a row."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def at(name: str, *, nullable: bool = True) -> Column[object]:
    """A moment."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def xid() -> Column[str]:
    """The transaction that last wrote the row; a trigger renews it."""
    return Column("xid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()"))


def jsonb(name: str) -> Column[object]:
    """A JSON object, empty at first."""
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"))


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """The check that a column holds one of these."""
    return CheckConstraint(f"{column} in ({', '.join(repr(value) for value in values)})", name=column)
