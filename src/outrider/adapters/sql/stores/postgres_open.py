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

from outrider.adapters.sql.schema.dialect import MIGRATION_LOCK
from outrider.adapters.sql.schema.migrations import migrate
from outrider.adapters.sql.schema.secrets import Secrets
from outrider.adapters.sql.stores import postgres_inspect
from outrider.adapters.sql.stores.postgres import PostgresStore
from outrider.adapters.sql.stores.postgres_connection import (
    OLDEST,
    UNREADABLE,
    PostgresLink,
    connect,
    reason_of,
    shown,
)
from outrider.adapters.sql.stores.sqlite import CannotOpen

T = TypeVar("T")

PATIENCE_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
# A change of a table waits behind whoever reads it, and everybody else waits behind the change.
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
    patience: float = PATIENCE_S,
) -> AsyncIterator[PostgresStore]:
    """Open the store, its schema up to date; leaving closes it, all writes finished.

    A database that does not answer is waited for, `patience` seconds long; `announce` hears why.
    Raise `CannotOpen` when that was in vain, `SchemaTooNew` for data of a release too new.
    """
    store = await asyncio.to_thread(_patiently, url, secrets, now, announce, patience)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def is_sealed(url: str, *, announce: Callable[[str], None] = lambda _: None) -> bool:
    """Whether somebody has sealed secrets in this database already: a new key would not fit.

    Waits and raises as `open_postgres` does.
    """
    return _waiting(lambda: _asked(url, postgres_inspect.is_sealed), url, announce, PATIENCE_S)


def _patiently(
    url: str, secrets: Secrets, now: datetime, announce: Callable[[str], None], patience: float
) -> PostgresStore:
    def opened() -> PostgresStore:
        _asked(url, lambda link: _bring_up_to_date(link, now))
        return PostgresStore(url, secrets)

    return _waiting(opened, url, announce, patience)


def _asked(url: str, ask: Callable[[PostgresLink], T]) -> T:
    link = connect(url)
    try:
        return ask(link)
    finally:
        link.close()


def _bring_up_to_date(link: PostgresLink, now: datetime) -> None:
    version = link.raw.info.server_version // 10_000
    if version < OLDEST:
        raise CannotOpen(f"it is PostgreSQL {version}, not {OLDEST} or newer")
    # Nodes that start together do it one after the other.
    link.execute("SELECT pg_advisory_lock(?)", (MIGRATION_LOCK,))
    link.script(_LOCK_TIMEOUT)
    migrate(link, now)


def _waiting(
    attempt: Callable[[], T], url: str, announce: Callable[[str], None], patience: float
) -> T:
    deadline, pause, said = time.monotonic() + patience, _FIRST_PAUSE_S, ""
    while True:
        try:
            return attempt()
        except (psycopg.OperationalError, psycopg.ProgrammingError) as failure:
            reason = reason_of(failure, url)
            if time.monotonic() + pause > deadline or _is_final(failure, reason):
                raise CannotOpen(f"{shown(url)}: {reason}") from None
        if reason != said:
            announce(f"waiting for {shown(url)}: {reason}")
            said = reason
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _is_final(failure: Exception, reason: str) -> bool:
    if isinstance(failure, errors.LockNotAvailable):
        return False
    return isinstance(failure, psycopg.ProgrammingError) or any(each in reason for each in _FINAL)
