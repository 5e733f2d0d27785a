"""PostgreSQL sessions as a crash of the server ends them, for tests of what becomes of work under way."""

from __future__ import annotations

import psycopg


def end_all_sessions(database_url: str, *, but: int = 0) -> int:
    """End every session of this database but our own and one more; how many there were."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        ended = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and backend_type = 'client backend' "
            "and pid not in (pg_backend_pid(), %s)",
            [but],
        ).fetchall()
    return len(ended)
