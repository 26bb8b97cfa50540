"""Opening PostgreSQL: waiting until it answers, and its schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import psycopg
from psycopg import errors

from outrider.adapters.sql.schema.connection import Secrets
from outrider.adapters.sql.schema.dialect import MIGRATION_LOCK
from outrider.adapters.sql.schema.migrations import migrate
from outrider.adapters.sql.stores import postgres_inspect
from outrider.adapters.sql.stores.postgres import PostgresStore
from outrider.adapters.sql.stores.postgres_connection import (
    OLDEST,
    UNREADABLE,
    PostgresConnection,
    connect,
    reason_of,
    redacted_url,
)
from outrider.adapters.sql.stores.sqlite import CannotOpen

T = TypeVar("T")

TIMEOUT_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
# A change of a table waits for its readers, and all others wait for the change.
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', '5s', false)"
# psycopg does not tell the code of a refused connection. No waiting helps against these.
_FINAL = ("authentication failed", "does not exist", "no pg_hba.conf entry", "invalid", UNREADABLE)


@asynccontextmanager
async def open_postgres(
    url: str,
    secrets: Secrets,
    *,
    now: datetime,
    announce: Callable[[str], None] = lambda _: None,
    timeout_s: float = TIMEOUT_S,
) -> AsyncIterator[PostgresStore]:
    """Open the store, its schema up to date; leaving closes it, all writes finished.

    It tries for `timeout_s` seconds to reach the database; `announce` gets the reasons. Raise
    `CannotOpen` when that fails, `SchemaTooNew` for data of a newer release.
    """
    store = await asyncio.to_thread(_open, url, secrets, now, announce, timeout_s)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def is_sealed(url: str, *, announce: Callable[[str], None] = lambda _: None) -> bool:
    """Whether this database has sealed secrets already: a new key would not fit.

    Waits and raises as `open_postgres` does.
    """
    return _retry(
        lambda: _with_connection(url, postgres_inspect.is_sealed), url, announce, TIMEOUT_S
    )


def _open(
    url: str, secrets: Secrets, now: datetime, announce: Callable[[str], None], timeout_s: float
) -> PostgresStore:
    def attempt() -> PostgresStore:
        _with_connection(url, lambda connection: _bring_up_to_date(connection, now))
        return PostgresStore(url, secrets)

    return _retry(attempt, url, announce, timeout_s)


def _with_connection(url: str, work: Callable[[PostgresConnection], T]) -> T:
    connection = connect(url)
    try:
        return work(connection)
    finally:
        connection.close()


def _bring_up_to_date(connection: PostgresConnection, now: datetime) -> None:
    version = connection.raw.info.server_version // 10_000
    if version < OLDEST:
        raise CannotOpen(f"it is PostgreSQL {version}, not {OLDEST} or newer")
    # Nodes that start together do it one after the other.
    connection.execute("SELECT pg_advisory_lock(?)", (MIGRATION_LOCK,))
    connection.script(_LOCK_TIMEOUT)
    migrate(connection, now)


def _retry(
    attempt: Callable[[], T], url: str, announce: Callable[[str], None], timeout_s: float
) -> T:
    deadline, pause, announced = time.monotonic() + timeout_s, _FIRST_PAUSE_S, ""
    while True:
        try:
            return attempt()
        except (psycopg.OperationalError, psycopg.ProgrammingError) as failure:
            reason = reason_of(failure, url)
            if time.monotonic() + pause > deadline or _is_final(failure, reason):
                raise CannotOpen(f"{redacted_url(url)}: {reason}") from None
        if reason != announced:
            announce(f"waiting for {redacted_url(url)}: {reason}")
            announced = reason
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _is_final(failure: Exception, reason: str) -> bool:
    if isinstance(failure, errors.LockNotAvailable):
        return False
    return isinstance(failure, psycopg.ProgrammingError) or any(text in reason for text in _FINAL)
