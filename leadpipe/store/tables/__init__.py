"""The ledger's tables as SQLAlchemy Core: everything that cannot be recomputed.

What lives here: columns, keys and checks, one module an area, and which of the tables the lake mirrors. What does not:
how rows are written (each room writes its own) and the migrations, which must produce exactly this (a test compares).

Conventions: ``bigint`` identity keys unless an id leaves the house (messages: uuid); every table the lake mirrors
carries ``xid``, the transaction that last wrote the row (a trigger renews it on update), so that the mirror reads
versions below the snapshot's xmin and misses none; times come from the clock, never from a column default.
"""

from leadpipe.store.tables import exchange, leads, mirrored, permissions, records, replies, running, sending

# Whoever imports one area has them all: foreign keys, the mirror and the migrations need the whole schema.
__all__ = ["exchange", "leads", "mirrored", "permissions", "records", "replies", "running", "sending"]
