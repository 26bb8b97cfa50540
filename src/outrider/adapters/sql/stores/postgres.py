"""PostgreSQL as the store of several nodes: group commit, snapshots, notifications.

One thread writes (`group_commit`), other threads read snapshots. One advisory lock keeps what units
rely on: a unit that is not shared has it alone, so that it happens before or after all others;
shared units hold it together, and the rows that they lock keep them apart. Groups that collide are
run again when the database says so.
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

from outrider.adapters.sql.schema.connection import Connection, Secrets
from outrider.adapters.sql.schema.dialect import UNITS_LOCK
from outrider.adapters.sql.stores import metadata
from outrider.adapters.sql.stores.group_commit import (
    GroupWriter,
    UnitOutcome,
    Watch,
    run_under_savepoint,
)
from outrider.adapters.sql.stores.postgres_connection import (
    UNREACHABLE,
    CommitUnknown,
    PostgresConnection,
    as_unavailable,
    connect,
)
from outrider.adapters.sql.stores.postgres_notify import NOTIFY, PostgresNotifier
from outrider.adapters.sql.stores.unit_of_work import SqlUnit
from outrider.adapters.sql.stores.unit_queue import Group
from outrider.domain.ids import InstanceId
from outrider.errors import Unavailable
from outrider.runtime import Runtime
from outrider.usecases.ports.store import LIGHT, Load, Unit, WriteRefused

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
    """`ports.store.Store` on one database. Open it with `postgres_open.open_postgres`."""

    url: str = field(repr=False)
    secrets: Secrets = field(repr=False)
    _committer: _GroupCommitter = field(init=False, repr=False)
    _notifier: PostgresNotifier = field(init=False, repr=False)
    _writer: GroupWriter = field(init=False, repr=False)
    _readers: ThreadPoolExecutor = field(init=False, repr=False)
    _reader_units: threading.local = field(default_factory=threading.local, repr=False)
    _reader_connections: list[PostgresConnection] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        # Opened here and not in the threads, so that the caller hears what is wrong.
        self._committer = _GroupCommitter(self.url, self.secrets, connect(self.url))
        self._notifier = PostgresNotifier(self.url, lambda: self._committer.process)
        self._committer.on_notification = self._notifier.call_listeners
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="postgres-reader")
        self._writer = GroupWriter("postgres-writer", self._committer.commit, self._committer.close)

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        return await self._writer.write(work, shared=shared, load=load)

    async def read(self, work: Callable[[Unit], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    async def check_writable(self) -> None:
        if not self._writer.is_proven:
            await self._writer.prove(lambda unit: unit.routing_revision())

    async def changes(self) -> int:
        # It also moves when it is not known whether anything has changed.
        return self._notifier.count

    def subscribe(self, on_notification: Callable[[], None]) -> None:
        self._notifier.listeners.append(on_notification)

    def watch_commits(self, watch: Watch) -> None:
        """Call `watch` at every commit from now on."""
        self._writer.watch = watch

    @property
    def node(self) -> int:
        """The number by which this process makes identifiers unlike those of all others."""
        return self._notifier.node

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
        """Finish all units that were passed in, then close."""
        self._writer.close()
        self._readers.shutdown()
        self._notifier.close()
        for connection in self._reader_connections:
            connection.close()

    def _at_start(self, work: Callable[[Connection], T]) -> T:
        with as_unavailable():
            connection = connect(self.url)
            try:
                connection.script(_BEGIN_ALONE)
                result = work(connection)
                connection.commit()
            finally:
                connection.close()
        return result

    def _read(self, work: Callable[[Unit], T]) -> T:
        with as_unavailable():
            connection, unit = self._reader()
            try:
                return _snapshot(connection, unit, work)
            except _LOST:
                if not connection.is_lost:
                    raise
                # It may have been lost long ago: that shows at the next use.
                return _snapshot(*self._reader(), work)

    def _reader(self) -> tuple[PostgresConnection, SqlUnit]:
        found: tuple[PostgresConnection, SqlUnit] | None = getattr(self._reader_units, "unit", None)
        if found is None or found[0].is_lost:
            opened = connect(self.url)
            usable = [
                connection for connection in self._reader_connections if not connection.is_lost
            ]
            self._reader_connections[:] = [*usable, opened]
            found = self._reader_units.unit = (opened, SqlUnit(opened, self.secrets))
        return found


class _GroupCommitter:
    """Commits groups in the writer's thread, on a new connection when the old one is lost."""

    def __init__(self, url: str, secrets: Secrets, connection: PostgresConnection) -> None:
        self.on_notification: Callable[[], None] = lambda: None
        self._url = url
        self._secrets = secrets
        self._connection = connection
        self._unit = SqlUnit(connection, secrets)
        self._pause = _FIRST_PAUSE_S
        self._not_before = 0.0

    @property
    def process(self) -> int | None:
        """The server's process for the connection."""
        return None if self._connection.is_lost else self._connection.process

    def commit(self, group: Group) -> Sequence[UnitOutcome]:
        """How each unit ended; all as `Unavailable` when the database cannot be reached."""
        # Two groups that deadlocked would do so again: the one that lost goes on alone.
        is_shared = all(job.is_shared for job in group)
        for _ in range(_TRIES):
            try:
                self._connect()
                outcomes = self._try(group, _BEGIN_SHARED if is_shared else _BEGIN_ALONE)
            except CommitUnknown as unknown:
                return _all(group, unknown)
            except _COLLISIONS:
                self._connection.rollback()
                is_shared = False
            except _LOST as failure:
                self._connection.rollback()
                if self._connection.is_lost and self._may_connect():
                    continue
                return _all(group, _unavailable(failure))
            except psycopg.Error as failure:
                self._connection.rollback()
                return _all(group, failure)
            else:
                self._notify()
                return outcomes
        return _all(group, Unavailable("the database was too busy with others; try again"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _try(self, group: Group, begin: str) -> Sequence[UnitOutcome]:
        self._connection.must_notify = False
        self._connection.script(begin)
        if len(group) == 1:
            return self._try_one(group)
        outcomes = [run_under_savepoint(self._connection, self._unit, job, _FATAL) for job in group]
        self._connection.commit()
        return outcomes

    def _try_one(self, group: Group) -> Sequence[UnitOutcome]:
        # Alone in its transaction: a savepoint would be two more round trips.
        try:
            result = group[0].work(self._unit)
        except _FATAL:
            raise
        except Exception as failure:
            self._connection.rollback()
            if self._connection.is_lost:
                raise psycopg.OperationalError(UNREACHABLE) from failure
            return [(None, failure)]
        self._connection.commit()
        return [(result, None)]

    def _notify(self) -> None:
        if self._connection.must_notify:
            self.on_notification()
            with suppress(psycopg.Error):
                # After the commit and in a transaction of its own: those with a notification in
                # them are committed one after the other, in the whole cluster.
                self._connection.script(NOTIFY)

    def _may_connect(self) -> bool:
        return time.monotonic() >= self._not_before

    def _connect(self) -> None:
        if not self._connection.is_lost:
            return
        if not self._may_connect():
            raise psycopg.OperationalError(UNREACHABLE)
        self._connection.close()
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        self._connection = connect(self._url)
        self._unit = SqlUnit(self._connection, self._secrets)
        self._pause, self._not_before = _FIRST_PAUSE_S, 0.0


def _snapshot(connection: PostgresConnection, unit: SqlUnit, work: Callable[[Unit], T]) -> T:
    try:
        connection.script(_BEGIN_READING)
        return work(unit)
    finally:
        connection.rollback()


def _all(group: Group, failure: Exception) -> Sequence[UnitOutcome]:
    return [(None, failure)] * len(group)


def _unavailable(failure: Exception) -> Exception:
    if isinstance(failure, errors.DiskFull):
        return WriteRefused("the store's disk is full")
    unavailable = Unavailable(UNREACHABLE)
    unavailable.__cause__ = failure
    return unavailable
