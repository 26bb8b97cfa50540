"""Inspects a database of PostgreSQL before a start, without changing it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from outrider.adapters.sql.postgres.connection import (
    CONNECTIONS_OF_A_PROCESS,
    OLDEST,
    UNREADABLE,
    PostgresConnection,
    connect,
    reason_of,
    redacted_url,
)
from outrider.adapters.sql.postgres.failures import (
    TOO_MANY_CONNECTIONS,
    as_refused,
    refusal_of,
    state_of,
)
from outrider.adapters.sql.postgres.pooling import pools_transactions
from outrider.adapters.sql.postgres.schemas import find_schema
from outrider.adapters.sql.postgres.write_check import try_write
from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.adapters.sql.schema.migrations import all_migrations, versions
from outrider.adapters.sql.stores.sqlite import CannotOpen
from outrider.usecases.ports.store import WriteRefused

# How many connections this role may open to this database, and how many more of them now, by what
# limits them. The state of other roles' sessions is not shown to every role, only that there are any.
_LIMITS = """
WITH others AS (
    SELECT datname, usename FROM pg_stat_activity
    WHERE coalesce(backend_type, 'client backend') = 'client backend'
        AND usename IS NOT NULL AND pid <> pg_backend_pid()
), me AS (
    SELECT rolsuper, rolconnlimit FROM pg_roles WHERE rolname = current_user
) SELECT 'max_connections' AS setting, current_setting('max_connections')::int - CASE
        WHEN rolsuper THEN 0
        ELSE current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true)::int, 0)
    END AS most, (SELECT count(*) FROM others)::int AS used FROM me
UNION ALL
    SELECT 'CONNECTION LIMIT of the database', datconnlimit,
        (SELECT count(*) FROM others WHERE others.datname = current_database())::int
    FROM pg_database, me
    WHERE datname = current_database() AND datconnlimit >= 0 AND NOT rolsuper
UNION ALL
    SELECT 'CONNECTION LIMIT of the role', rolconnlimit,
        (SELECT count(*) FROM others WHERE others.usename = current_user)::int
    FROM me WHERE rolconnlimit >= 0 AND NOT rolsuper
"""
_MAY_CREATE = (
    "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'),"
    " has_database_privilege(current_database(), 'CREATE')), pg_is_in_recovery()"
)
# An inspection waits for no lock of others for long.
_IMPATIENT = "SET lock_timeout = '2s'; SET statement_timeout = '5s'"
_BEGIN = "BEGIN"
# Before there is a schema. Where the role may not make tables, the schema's check tells more.
_TRY_TABLE = (
    "DO $$ BEGIN IF has_schema_privilege(current_schema(), 'CREATE') THEN"
    " CREATE TABLE outrider_write_check (value BIGINT);"
    " INSERT INTO outrider_write_check VALUES (1); END IF; END $$"
)
CONNECTIONS_ADVICE = (
    f"each process of outrider holds {CONNECTIONS_OF_A_PROCESS} connections, and a server has one"
    " process more than --workers: raise max_connections or the CONNECTION LIMIT of the role or the"
    " database, close other connections, or use fewer --workers"
)
# Words of a failure without a state. No waiting helps against these.
_FINAL = ("does not exist", "invalid", UNREADABLE)
_EXISTS = "SELECT to_regclass(?) IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInspection:
    """The state of a database. `where` is the URL without its secrets.

    `version`, and the `oldest` that is used, are numbers as 160004 is 16.4.
    `schema` is the version of the schema, 0 when there is none yet. Releases that know `needed` or
    more work on it; this one knows `known`. `most` connections may be open, `free` of them are not;
    `limited_by` names the setting. `refused` is why a write failed that was tried, None when it did
    not. `is_pooled` is whether a pooler hands over the session after each transaction. `schema_name`
    is the schema of the database that the store is in, or will be.
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
    connections_of_a_process: int = CONNECTIONS_OF_A_PROCESS
    limited_by: str = "max_connections"
    refused: WriteRefused | None = None
    is_pooled: bool = False
    schema_name: str = ""


def inspect(url: str, schema: str | None = None) -> DatabaseInspection:
    """Connect once and inspect it. Raise `CannotOpen`, without secrets, when that fails.

    `schema` is what a setting names.
    """
    try:
        connection = connect(url)
    except psycopg.Error as failure:
        raise _cannot_open(failure, url) from None
    try:
        found = find_schema(connection, schema, beside_tables=False)
        first = connection.execute("SELECT current_schema()").fetchone()[0]
        if found is not None:
            connection.use_schema(found)
        return _inspect(connection, url, found or first)
    except psycopg.Error as failure:
        raise _cannot_open(failure, url) from None
    finally:
        connection.close()


def explain(failure: psycopg.Error, url: str) -> tuple[str, str, bool]:
    """What is wrong, what to do about it, and whether it may be over in a moment."""
    reason, refusal, state = reason_of(failure, url), refusal_of(failure), state_of(failure)
    if refusal is None:
        is_final = any(text in reason for text in _FINAL)
        return reason, "", isinstance(failure, psycopg.OperationalError) and not is_final
    advice = CONNECTIONS_ADVICE if state == TOO_MANY_CONNECTIONS else refusal.advice
    return f"{refusal.reason} (SQLSTATE {state}): {reason}", advice, refusal.passes


def driver() -> str:
    """Name and version of the driver."""
    return f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), libpq {psycopg.pq.version()}"


def shortage_of_connections(connection: PostgresConnection, needed: int) -> str | None:
    """What is said of a limit that leaves fewer than `needed`, this one counted; None: enough."""
    setting, most, free = _limit(connection, needed)
    if free >= needed:
        return None
    return f"{setting} leaves {free} of {most} connections free, and {needed} are needed"


def _limit(connection: PostgresConnection, needed: int) -> tuple[str, int, int]:
    """The setting that limits connections most, how many it allows and how many are free."""
    rows = connection.execute(_LIMITS).fetchall()
    limits = [(setting, most, max(0, most - used)) for setting, most, used in rows]
    return min(limits, key=lambda limit: (limit[1] >= needed, limit[2]))


def _cannot_open(failure: psycopg.Error, url: str) -> CannotOpen:
    reason, advice, _ = explain(failure, url)
    return CannotOpen(f"{redacted_url(url)}: {reason}", advice)


def _inspect(connection: PostgresConnection, url: str, name: str) -> DatabaseInspection:
    connection.script(_IMPATIENT)
    known = all_migrations(POSTGRES)[-1].version
    schema, needed = (
        versions(connection, known) if _exists(connection, "schema_migrations") else (0, 0)
    )
    may_create, is_standby = connection.execute(_MAY_CREATE).fetchone()
    setting, most, free = _limit(connection, 0)
    return DatabaseInspection(
        where=redacted_url(url),
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
        limited_by=setting,
        is_pooled=pools_transactions(connection, url),
        schema_name=name,
        refused=_refusal(connection, has_schema=schema == known),
    )


def _refusal(connection: PostgresConnection, *, has_schema: bool) -> WriteRefused | None:
    """Why a write fails that is tried and taken back; None: it does not fail."""
    try:
        connection.script(_BEGIN)
        if has_schema:
            try_write(connection)
        else:
            connection.script(_TRY_TABLE)
    except psycopg.Error as failure:
        refused = as_refused(failure)
        if not isinstance(refused, WriteRefused):
            raise
        return refused
    except WriteRefused as refused:
        return refused
    finally:
        connection.rollback()
    return None


def is_sealed(connection: PostgresConnection) -> bool:
    """Whether this database has sealed secrets already."""
    if not _exists(connection, "metadata"):
        return False
    return connection.execute("SELECT 1 FROM metadata").fetchone() is not None


def _exists(connection: PostgresConnection, table: str) -> bool:
    return bool(connection.execute(_EXISTS, (table,)).fetchone()[0])
