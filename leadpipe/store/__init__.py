"""The stores: the embedded PostgreSQL server, the lake (DuckLake) and the ledger (tables and migrations)."""
