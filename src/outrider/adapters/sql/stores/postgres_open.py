"""Opening PostgreSQL: waiting until it answers, and its schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TypeVar

import psycopg

from outrider.adapters.sql.postgres.connection import (
    CONNECTIONS_OF_A_PROCESS,
    OLDEST,
    PostgresConnection,
    connect,
    redacted_url,
)
from outrider.adapters.sql.postgres.pooling import pools_transactions
from outrider.adapters.sql.postgres.schemas import SchemaNotMade, enter_schema, find_schema
from outrider.adapters.sql.postgres.write_check import try_write
from outrider.adapters.sql.schema.connection import Secrets
from outrider.adapters.sql.schema.dialect import MIGRATION_LOCK
from outrider.adapters.sql.schema.migrations import migrate
from outrider.adapters.sql.stores import postgres_inspect
from outrider.adapters.sql.stores.group_commit import close_in_thread
from outrider.adapters.sql.stores.postgres import PostgresStore
from outrider.adapters.sql.stores.sqlite import CannotOpen
from outrider.usecases.ports.store import WriteRefused

T = TypeVar("T")

POOLED = "a pooler between outrider and the database pools transactions"
POOLED_ADVICE = (
    "outrider keeps locks, LISTEN and settings in its sessions: connect to the server itself, or let"
    " the pooler pool sessions (pgbouncer: pool_mode = session)"
)
TIMEOUT_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
# A change of a table waits for its readers, and all others wait for the change.
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', '5s', false)"
_BEGIN = "BEGIN"


@asynccontextmanager
async def open_postgres(
    url: str,
    secrets: Secrets,
    *,
    now: datetime,
    announce: Callable[[str], None] = lambda _: None,
    timeout_s: float = TIMEOUT_S,
    processes: int = 1,
    schema: str | None = None,
    beside_tables: bool = False,
) -> AsyncIterator[PostgresStore]:
    """Open the store, its schema up to date; leaving closes it, all writes finished.

    `schemas.find_schema` says what `schema` and `beside_tables` mean.

    It tries for `timeout_s` seconds to reach the database; `announce` gets the reasons. Raise
    `CannotOpen` when that fails, when the database takes no writes or has too few connections for
    so many `processes`, `SchemaTooNew` for data of a newer release.
    """
    needed = processes * CONNECTIONS_OF_A_PROCESS
    schema_of = partial(find_schema, chosen=schema, beside_tables=beside_tables)
    store = await asyncio.to_thread(
        _open, url, secrets, now, announce, timeout_s, needed=needed, schema_of=schema_of
    )
    try:
        yield store
    finally:
        await close_in_thread(store.close)


def is_sealed(
    url: str,
    *,
    announce: Callable[[str], None] = lambda _: None,
    schema: str | None = None,
    beside_tables: bool = False,
) -> bool:
    """Whether this database has sealed secrets already: a new key would not fit.

    Waits and raises as `open_postgres` does.
    """

    def look(connection: PostgresConnection) -> bool:
        found = find_schema(connection, schema, beside_tables=beside_tables)
        if found is not None:
            connection.use_schema(found)
        return postgres_inspect.is_sealed(connection)

    return _retry(lambda: _with_connection(url, look), url, announce, TIMEOUT_S)


def _open(
    url: str,
    secrets: Secrets,
    now: datetime,
    announce: Callable[[str], None],
    timeout_s: float,
    *,
    needed: int,
    schema_of: Callable[[PostgresConnection], str | None],
) -> PostgresStore:
    def attempt() -> PostgresStore:
        schema = _with_connection(
            url, lambda connection: _prepare(connection, url, needed, now, schema_of)
        )
        return PostgresStore(url, secrets, schema)

    return _retry(attempt, url, announce, timeout_s)


def _with_connection(url: str, work: Callable[[PostgresConnection], T]) -> T:
    connection = connect(url)
    try:
        return work(connection)
    finally:
        connection.close()


def _prepare(
    connection: PostgresConnection,
    url: str,
    needed: int,
    now: datetime,
    schema_of: Callable[[PostgresConnection], str | None],
) -> str | None:
    """Check the database, bring the store up to date, and return the schema that it is in."""
    if pools_transactions(connection, url):
        raise CannotOpen(f"{redacted_url(url)}: {POOLED}", POOLED_ADVICE)
    shortage = postgres_inspect.shortage_of_connections(connection, needed)
    if shortage is not None:
        raise CannotOpen(f"{redacted_url(url)}: {shortage}", postgres_inspect.CONNECTIONS_ADVICE)
    try:
        schema = _bring_up_to_date(connection, now, schema_of)
    except SchemaNotMade as failure:
        raise CannotOpen(f"{redacted_url(url)}: {failure}", failure.advice) from None
    connection.script(_BEGIN)
    try_write(connection)
    connection.commit()
    return schema


def _bring_up_to_date(
    connection: PostgresConnection,
    now: datetime,
    schema_of: Callable[[PostgresConnection], str | None] = lambda _: None,
) -> str | None:
    version = connection.raw.info.server_version // 10_000
    if version < OLDEST:
        raise CannotOpen(f"it is PostgreSQL {version}, not {OLDEST} or newer")
    # Nodes that start together do it one after the other.
    connection.execute("SELECT pg_advisory_lock(?)", (MIGRATION_LOCK,))
    connection.script(_LOCK_TIMEOUT)
    schema = schema_of(connection)
    enter_schema(connection, schema)
    migrate(connection, now)
    return schema


def _retry(
    attempt: Callable[[], T], url: str, announce: Callable[[str], None], timeout_s: float
) -> T:
    deadline, pause, announced = time.monotonic() + timeout_s, _FIRST_PAUSE_S, ""
    while True:
        try:
            return attempt()
        except psycopg.Error as failure:
            reason, advice, passes = postgres_inspect.explain(failure, url)
            if time.monotonic() + pause > deadline or not passes:
                raise CannotOpen(f"{redacted_url(url)}: {reason}", advice) from None
        except WriteRefused as refused:
            raise CannotOpen(f"{redacted_url(url)}: {refused.reason}", refused.advice) from None
        if reason != announced:
            announce(f"waiting for {redacted_url(url)}: {reason}")
            announced = reason
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
