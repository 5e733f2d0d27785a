"""One database URL, in the forms that each library wants.

What lives here: conversions only. What does not: connecting.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlsplit

from leadpipe.errors import ConfigurationError


def require_postgresql(database_url: str) -> None:
    """Refuse an address that is not PostgreSQL's, before a library prints it with its password.

    Raises:
        ConfigurationError: says what was expected.
    """
    try:
        parts = urlsplit(database_url)
        is_right = parts.scheme in ("postgresql", "postgres") and (parts.port is None or parts.port > 0)
    except ValueError:
        is_right = False
    if not is_right:
        raise ConfigurationError(
            "LEADPIPE_DATABASE_URL is no address of a PostgreSQL server; it must read "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the password as %XX"
        )


def sqlalchemy_url(database_url: str) -> str:
    """For SQLAlchemy with psycopg 3."""
    return "postgresql+psycopg://" + database_url.split("://", 1)[1]


def dagster_url(database_url: str) -> str:
    """For dagster-postgres: psycopg2 (its NOTIFY fails on psycopg 3), tables in schema ``dagster``."""
    rest = database_url.split("://", 1)[1]
    joint = "&" if "?" in rest else "?"
    return f"postgresql+psycopg2://{rest}{joint}options={quote('-csearch_path=dagster')}"


def keyword_dsn(database_url: str) -> str:
    """For DuckDB's postgres extension: libpq's keyword form."""
    parts = urlsplit(database_url)
    words = {"dbname": unquote(parts.path.lstrip("/")), "user": unquote(parts.username or "")}
    words |= {"password": unquote(parts.password or ""), "host": parts.hostname or ""}
    words |= {"port": str(parts.port or "")}
    words |= dict(parse_qsl(parts.query))
    return " ".join(f"{name}={_quoted(value)}" for name, value in words.items() if value)


def database_named(database_url: str, name: str) -> str:
    """Another database of the same server."""
    return urlsplit(database_url)._replace(path=f"/{quote(name)}").geturl()


def is_private(database_url: str) -> bool:
    """Whether nobody on the way can read along: a socket, this machine, or TLS demanded; ``prefer`` demands nothing."""
    parts = urlsplit(database_url)
    options = dict(parse_qsl(parts.query))
    host = parts.hostname or options.get("host", "")
    if not host or host.startswith("/") or host in {"localhost", "127.0.0.1", "::1"}:
        return True
    return options.get("sslmode") in {"require", "verify-ca", "verify-full"}


def without_password(database_url: str) -> str:
    """The same URL for showing: whoever uses it brings the password in PGPASSWORD or ~/.pgpass."""
    parts = urlsplit(database_url)
    if parts.password is None:
        return database_url
    account, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{account.partition(':')[0]}@{place}").geturl()


def _quoted(value: str) -> str:
    if value and all(letter.isalnum() or letter in "/._-@:" for letter in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
