"""PostgreSQL as the store of several nodes: group commit, snapshots, hints.

One thread writes (`group_commit`), threads of their own read snapshots. What units may rely on is
kept by one advisory lock: a unit that does not share has it alone, so that it happens before or
after everything else; units that share hold it together, and are kept apart by the rows that they
lock. Groups that collide are run again by the database's word.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from psycopg import errors

from outrider.adapters.sql.schema.connection import Connection
from outrider.adapters.sql.schema.dialect import UNITS_LOCK
from outrider.adapters.sql.schema.secrets import Secrets
from outrider.adapters.sql.stores import metadata
from outrider.adapters.sql.stores.group_commit import (
    Group,
    GroupWriter,
    Outcome,
    Watch,
    run_under_savepoint,
)
from outrider.adapters.sql.stores.postgres_connection import (
    UNREACHABLE,
    CommitUnknown,
    PostgresLink,
    connect,
    explained,
)
from outrider.adapters.sql.stores.postgres_notify import NOTIFY, PostgresNotifier
from outrider.adapters.sql.stores.unit_of_work import SqlUnit
from outrider.domain.ids import InstanceId
from outrider.errors import Unavailable
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Unit

T = TypeVar("T")

_READERS = 2
_TRIES = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_BEGIN_ALONE = f"BEGIN; SELECT pg_advisory_xact_lock({UNITS_LOCK})"
_BEGIN_SHARED = f"BEGIN; SELECT pg_advisory_xact_lock_shared({UNITS_LOCK})"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_COLLISIONS = (errors.DeadlockDetected, errors.SerializationFailure)
# What concerns a whole group, and not the unit that happened to meet it. Deadlocks are among them.
_FATAL = psycopg.OperationalError
_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


@dataclass(slots=True)
class PostgresStore:
    """`ports.Store` on one database. Open it with `postgres_start.open_postgres`."""

    url: str = field(repr=False)
    secrets: Secrets = field(repr=False)
    _writing: _Writing = field(init=False, repr=False)
    _hints: PostgresNotifier = field(init=False, repr=False)
    _writer: GroupWriter = field(init=False, repr=False)
    _readers: ThreadPoolExecutor = field(init=False, repr=False)
    _reader_links: threading.local = field(default_factory=threading.local, repr=False)
    _links: list[PostgresLink] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        # Opened here and not in the threads: what is wrong is told to who opens.
        self._writing = _Writing(self.url, self.secrets, connect(self.url))
        self._hints = PostgresNotifier(self.url, lambda: self._writing.process)
        self._writing.notified = self._hints.bump
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="postgres-reader")
        self._writer = GroupWriter("postgres-writer", self._writing.commit, self._writing.close)

    async def write(self, work: Callable[[Unit], T], *, shared: bool = False) -> T:
        return await self._writer.write(work, shared=shared)

    async def read(self, work: Callable[[Unit], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    async def changes(self) -> int:
        """See the port. A hint: it also moves when nobody can say whether something has changed."""
        return self._hints.count

    def subscribe(self, tell: Callable[[], None]) -> None:
        self._hints.listeners.append(tell)

    def watch_commits(self, watch: Watch) -> None:
        """Tell it of every commit from now on."""
        self._writer.watch = watch

    @property
    def node(self) -> int:
        """The number by which this process makes identifiers unlike those of all others."""
        return self._hints.node

    def check_secrets(self) -> None:
        """Raise what `Secrets.open` raises when these secrets did not seal this store's."""
        self._at_start(lambda connection: metadata.check_secrets(connection, self.secrets))

    def last_identifier(self) -> int:
        """The largest identifier in use; 0 in a new store."""
        return self._at_start(metadata.last_identifier)

    def default_instance(self, runtime: Runtime) -> InstanceId:
        """The instance that exists from the first start on."""
        return self._at_start(lambda connection: metadata.default_instance(connection, runtime))

    def close(self) -> None:
        """Finish what was handed over, then close."""
        self._writer.close()
        self._readers.shutdown()
        self._hints.close()
        for link in self._links:
            link.close()

    def _at_start(self, work: Callable[[Connection], T]) -> T:
        with explained():
            link = connect(self.url)
            try:
                link.script(_BEGIN_ALONE)
                result = work(link)
                link.commit()
            finally:
                link.close()
        return result

    def _read(self, work: Callable[[Unit], T]) -> T:
        with explained():
            link, unit = self._reader()
            try:
                return _snapshot(link, unit, work)
            except _LOST:
                if not link.is_lost:
                    raise
                # It may have been lost long ago: nobody notices before the next use.
                return _snapshot(*self._reader(), work)

    def _reader(self) -> tuple[PostgresLink, SqlUnit]:
        found: tuple[PostgresLink, SqlUnit] | None = getattr(self._reader_links, "found", None)
        if found is None or found[0].is_lost:
            link = connect(self.url)
            self._links[:] = [each for each in self._links if not each.is_lost] + [link]
            found = self._reader_links.found = (link, SqlUnit(link, self.secrets))
        return found


class _Writing:
    """The writer's thread: commits groups, on a new connection when the old one is lost."""

    def __init__(self, url: str, secrets: Secrets, link: PostgresLink) -> None:
        self.notified: Callable[[], None] = lambda: None
        self._url = url
        self._secrets = secrets
        self._link = link
        self._unit = SqlUnit(link, secrets)
        self._pause = _FIRST_PAUSE_S
        self._not_before = 0.0

    @property
    def process(self) -> int | None:
        """The server's process behind the connection."""
        return None if self._link.is_lost else self._link.process

    def commit(self, group: Group) -> Sequence[Outcome]:
        """How each unit ended; all as `Unavailable` when the database cannot be reached."""
        # Two groups that met in a circle would do so again: the one that lost goes on alone.
        is_shared = all(job.is_shared for job in group)
        for _ in range(_TRIES):
            try:
                self._connect()
                outcomes = self._try(group, _BEGIN_SHARED if is_shared else _BEGIN_ALONE)
            except CommitUnknown as unknown:
                return _all(group, unknown)
            except _COLLISIONS:
                self._link.rollback()
                is_shared = False
            except _LOST as failure:
                self._link.rollback()
                if self._link.is_lost and self._may_connect():
                    continue
                return _all(group, _unavailable(failure))
            except psycopg.Error as failure:
                self._link.rollback()
                return _all(group, failure)
            else:
                self._tell()
                return outcomes
        return _all(group, Unavailable("the database was too busy with others; try again"))

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _try(self, group: Group, begin: str) -> Sequence[Outcome]:
        self._link.is_notified = False
        self._link.script(begin)
        if len(group) == 1:
            return self._try_one(group)
        outcomes = [run_under_savepoint(self._link, self._unit, job, _FATAL) for job in group]
        self._link.commit()
        return outcomes

    def _try_one(self, group: Group) -> Sequence[Outcome]:
        # Alone in its transaction: a savepoint would be two more round trips.
        try:
            result = group[0].work(self._unit)
        except _FATAL:
            raise
        except Exception as failure:
            self._link.rollback()
            if self._link.is_lost:
                raise psycopg.OperationalError(UNREACHABLE) from failure
            return [(None, failure)]
        self._link.commit()
        return [(result, None)]

    def _tell(self) -> None:
        if self._link.is_notified:
            self.notified()
            with suppress(psycopg.Error):
                # After the commit and in a transaction of its own: those with a notification in
                # them are committed one after the other, in the whole cluster.
                self._link.script(NOTIFY)

    def _may_connect(self) -> bool:
        return time.monotonic() >= self._not_before

    def _connect(self) -> None:
        if not self._link.is_lost:
            return
        if not self._may_connect():
            raise psycopg.OperationalError(UNREACHABLE)
        self._link.close()
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        self._link = connect(self._url)
        self._unit = SqlUnit(self._link, self._secrets)
        self._pause, self._not_before = _FIRST_PAUSE_S, 0.0


def _snapshot(link: PostgresLink, unit: SqlUnit, work: Callable[[Unit], T]) -> T:
    try:
        link.script(_BEGIN_READING)
        return work(unit)
    finally:
        link.rollback()


def _all(group: Group, failure: Exception) -> Sequence[Outcome]:
    return [(None, failure)] * len(group)


def _unavailable(failure: Exception) -> Exception:
    if isinstance(failure, errors.DiskFull):
        return Unavailable("the store's disk is full: nothing of this call was stored")
    unavailable = Unavailable(UNREACHABLE)
    unavailable.__cause__ = failure
    return unavailable
