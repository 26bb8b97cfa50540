"""Inspects a database of PostgreSQL before a start, without changing it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.adapters.sql.schema.migrations import all_migrations, versions
from outrider.adapters.sql.stores.postgres_connection import (
    OLDEST,
    PostgresConnection,
    connect,
    reason_of,
    redacted_url,
)
from outrider.adapters.sql.stores.sqlite import CannotOpen

# How many connections this role may open to this database, and how many more of them now: the
# server's limit, without what it keeps for its superuser; the database's; the role's.
_LIMITS = """
WITH others AS (
    SELECT datname, usename FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
), limits AS (
    SELECT current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) AS most,
        (SELECT count(*) FROM others)::int AS used
    UNION ALL
    SELECT datconnlimit, (SELECT count(*) FROM others WHERE others.datname = current_database())::int
    FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
    UNION ALL
    SELECT rolconnlimit, (SELECT count(*) FROM others WHERE others.usename = current_user)::int
    FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0
) SELECT min(most), min(most - used) FROM limits
"""
_MAY_CREATE = (
    "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), pg_is_in_recovery()"
)
_EXISTS = "SELECT to_regclass(?) IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInspection:
    """The state of a database. `where` is the URL without its secrets.

    `version`, and the `oldest` that is used, are numbers as 160004 is 16.4.
    `schema` is the version of the schema, 0 when there is none yet. Releases that know `needed` or
    more work on it; this one knows `known`. `most` connections may be open, `free` of them are not.
    """

    where: str
    version: int
    oldest: int = OLDEST * 10_000
    is_encrypted: bool
    is_standby: bool
    may_create: bool
    is_sealed: bool
    schema: int
    needed: int
    known: int
    most: int
    free: int


def inspect(url: str) -> DatabaseInspection:
    """Connect once and inspect it. Raise `CannotOpen`, without secrets, when that fails."""
    try:
        connection = connect(url)
    except psycopg.Error as failure:
        raise CannotOpen(f"{redacted_url(url)}: {reason_of(failure, url)}") from None
    try:
        return _inspect(connection, redacted_url(url))
    except psycopg.Error as failure:
        raise CannotOpen(f"{redacted_url(url)}: {reason_of(failure, url)}") from None
    finally:
        connection.close()


def driver() -> str:
    """Name and version of the driver."""
    return f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), libpq {psycopg.pq.version()}"


def _inspect(connection: PostgresConnection, where: str) -> DatabaseInspection:
    known = all_migrations(POSTGRES)[-1].version
    schema, needed = (
        versions(connection, known) if _exists(connection, "schema_migrations") else (0, 0)
    )
    may_create, is_standby = connection.execute(_MAY_CREATE).fetchone()
    most, free = connection.execute(_LIMITS).fetchone()
    return DatabaseInspection(
        where=where,
        version=connection.raw.info.server_version,
        is_encrypted=bool(connection.raw.pgconn.ssl_in_use),
        is_standby=is_standby,
        may_create=may_create,
        is_sealed=is_sealed(connection),
        schema=schema,
        needed=needed,
        known=known,
        most=most,
        free=free,
    )


def is_sealed(connection: PostgresConnection) -> bool:
    """Whether this database has sealed secrets already."""
    if not _exists(connection, "metadata"):
        return False
    return connection.execute("SELECT 1 FROM metadata").fetchone() is not None


def _exists(connection: PostgresConnection, table: str) -> bool:
    return bool(connection.execute(_EXISTS, (table,)).fetchone()[0])
