"""The ledger: its engine and its migrations.

What lives here: connecting to the ledger and bringing its schema up to date. What does not: the tables (``tables``),
their rows (each room writes its own).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, text

from leadpipe.errors import ConfigurationError
from leadpipe.store.urls import sqlalchemy_url

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic runs of several processes at once wait for each other on this advisory lock.
MIGRATION_LOCK = 7_305_111


def connect(database_url: str, *, pool_size: int = 5, max_overflow: int = 10) -> Engine:
    """An engine on the ledger, in UTC; opens nothing yet. A stale pooled connection is replaced, not an error."""
    import orjson

    return create_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_pre_ping=True,
        # Bulk reads hold several JSON columns a row; the standard parser took a fifth of a planning run.
        json_deserializer=orjson.loads,
        connect_args={"options": "-c timezone=UTC", "connect_timeout": 10},
    )


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the ledger to ``revision``; safe to call by many processes at once.

    Raises:
        ConfigurationError: the ledger is newer than this code.
    """
    from alembic import command

    engine = connect(database_url)
    try:
        _refuse_newer(engine)
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            for schema in ("ledger", "lake_catalog", "dagster"):
                connection.execute(text(f"create schema if not exists {schema}"))
            connection.commit()
            config = alembic_config(database_url)
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
    finally:
        engine.dispose()


def is_known(revision: str) -> bool:
    """Whether this code has a migration of that name."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config("postgresql://unused/unused"))
    return revision in {script.revision for script in scripts.walk_revisions()}


def _refuse_newer(engine: Engine) -> None:
    stands_at = current_revision(engine)
    if stands_at is not None and not is_known(stands_at):
        raise ConfigurationError(
            f"the ledger stands at revision {stands_at}, which this version of leadpipe does not know (it knows "
            f"{head_revision()}); use the version that made it, or one that is newer"
        )


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for this ledger, without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("leadpipe.store") / "migrations"))
    config.set_main_option("sqlalchemy.url", sqlalchemy_url(database_url).replace("%", "%%"))
    return config


def current_revision(engine: Engine) -> str | None:
    """The revision the ledger stands at; None when it was never set up."""
    with engine.connect() as connection:
        known = connection.execute(text("select to_regclass('ledger.alembic_version')")).scalar()
        if known is None:
            return None
        return connection.execute(text("select version_num from ledger.alembic_version")).scalar()


def head_revision() -> str | None:
    """The newest revision this code knows."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(alembic_config("postgresql://unused/unused")).get_current_head()


def id_array(ids: Iterable[int]) -> str:
    """Ids as PostgreSQL writes an array: thousands of them pass as one parameter, not one by one."""
    return "{" + ",".join(map(str, sorted(ids))) + "}"
