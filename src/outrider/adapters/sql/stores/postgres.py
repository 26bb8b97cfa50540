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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from outrider.adapters.sql.postgres.connection import CommitUnknown, Database, PostgresConnection
from outrider.adapters.sql.postgres.failures import (
    COLLISIONS,
    CONCERNS_ALL,
    FULL,
    READ_ONLY,
    UNREACHABLE,
    as_refused,
    as_unavailable,
    refusal_of,
    state_of,
)
from outrider.adapters.sql.postgres.notify import NOTIFY, PostgresNotifier
from outrider.adapters.sql.postgres.write_check import try_write
from outrider.adapters.sql.schema.connection import Connection, Secrets
from outrider.adapters.sql.schema.dialect import UNITS_LOCK
from outrider.adapters.sql.stores import metadata
from outrider.adapters.sql.stores.group_commit import (
    GroupWriter,
    UnitOutcome,
    Watch,
    run_under_savepoint,
)
from outrider.adapters.sql.stores.unit_of_work import SqlUnit
from outrider.adapters.sql.stores.unit_queue import Group
from outrider.domain.ids import InstanceId
from outrider.errors import Unavailable
from outrider.runtime import Runtime
from outrider.usecases.ports.store import LIGHT, Load, Unit

T = TypeVar("T")

_READERS = 2
_TRIES = 8
_READ_TRIES = 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_BEGIN_ALONE = f"BEGIN; SELECT pg_advisory_xact_lock({UNITS_LOCK})"
_BEGIN_SHARED = f"BEGIN; SELECT pg_advisory_xact_lock_shared({UNITS_LOCK})"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# What a new connection may heal at once: this one leads to a server that is no primary any more, or
# its transaction was ended for it.
_HEALED_BY_CONNECTING = frozenset({READ_ONLY, "25P03", "25P04"})


@dataclass(slots=True)
class PostgresStore:
    """`ports.store.Store` on one database. Open it with `postgres_open.open_postgres`."""

    url: str = field(repr=False)
    secrets: Secrets = field(repr=False)
    schema: str | None = None
    _database: Database = field(init=False, repr=False)
    _committer: _GroupCommitter = field(init=False, repr=False)
    _notifier: PostgresNotifier = field(init=False, repr=False)
    _writer: GroupWriter = field(init=False, repr=False)
    _readers: ThreadPoolExecutor = field(init=False, repr=False)
    _reader_units: threading.local = field(default_factory=threading.local, repr=False)
    _reader_connections: list[PostgresConnection] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._database = Database(self.url, self.schema)
        # Opened here and not in the threads, so that the caller hears what is wrong.
        self._committer = _GroupCommitter(self._database, self.secrets, self._database.connect())
        try:
            self._notifier = PostgresNotifier(self._database, lambda: self._committer.process)
        except BaseException:
            self._committer.close()
            raise
        self._committer.on_notification = self._notifier.call_listeners
        self._committer.on_another_primary = self._notifier.renew
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="postgres-reader")
        self._writer = GroupWriter("postgres-writer", self._committer.commit, self._committer.close)

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        return await self._writer.write(work, shared=shared, load=load)

    async def read(self, work: Callable[[Unit], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            reading = loop.run_in_executor(self._readers, self._read, work)
        except RuntimeError:
            # The interpreter ends, and no thread takes work any more.
            if self._writer.is_closed:
                raise
            return self._read(work)
        return await reading

    async def check_writable(self) -> None:
        if not self._writer.is_proven:
            await self._writer.prove(lambda _: self._committer.try_write())

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
        """The largest identifier in use that `Runtime.new_id` made; 0 in a new store."""
        return self._at_start(metadata.last_identifier)

    def last_sonyflake(self) -> int:
        """The largest identifier that `Runtime.new_sonyflake` made; 0 in a new store."""
        return self._at_start(metadata.last_sonyflake)

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
        with _refused():
            connection = self._database.connect()
            try:
                connection.script(_BEGIN_ALONE)
                result = work(connection)
                connection.commit()
            finally:
                connection.close()
        return result

    def _read(self, work: Callable[[Unit], T]) -> T:
        for tries_left in reversed(range(_READ_TRIES)):
            try:
                connection, unit = self._reader()
            except psycopg.Error as failure:
                unavailable = as_unavailable(failure)
                raise unavailable from unavailable.__cause__
            try:
                return _snapshot(connection, unit, work)
            except psycopg.Error as failure:
                # It may have been lost long ago: that shows at the next use.
                is_passing = connection.is_lost or isinstance(failure, COLLISIONS)
                _close_refused(connection, failure)
                if not (is_passing and tries_left):
                    unavailable = as_unavailable(failure)
                    raise unavailable from unavailable.__cause__
        raise AssertionError("the last try returns or raises")

    def _reader(self) -> tuple[PostgresConnection, SqlUnit]:
        found: _ReaderUnit | None = getattr(self._reader_units, "unit", None)
        primary = self._committer.primary
        if found is not None and found.primary != primary:
            found.connection.close()
        if found is None or found.connection.is_lost:
            opened = self._database.connect()
            usable = [
                connection for connection in self._reader_connections if not connection.is_lost
            ]
            self._reader_connections[:] = [*usable, opened]
            found = _ReaderUnit(opened, SqlUnit(opened, self.secrets), primary)
            self._reader_units.unit = found
        return found.connection, found.unit


@dataclass(frozen=True, slots=True)
class _ReaderUnit:
    connection: PostgresConnection
    unit: SqlUnit
    primary: int


class _GroupCommitter:
    """Commits groups in the writer's thread, on a new connection when the old one is lost or refuses.

    After one that was of no use, the next is made at once; after that ever more slowly. Meanwhile
    groups get the last refusal without a word to the database.
    """

    def __init__(
        self, database: Database, secrets: Secrets, connection: PostgresConnection
    ) -> None:
        self.on_notification: Callable[[], None] = lambda: None
        self.on_another_primary: Callable[[], None] = lambda: None
        # Grows when connections of other threads may lead to a server that is no primary any more.
        self.primary = 0
        self._database = database
        self._secrets = secrets
        self._connection = connection
        self._unit = SqlUnit(connection, secrets)
        self._pause = _FIRST_PAUSE_S
        self._not_before = 0.0
        # Why the connection was closed or lost; None since a commit succeeded.
        self._failure: psycopg.Error | None = None
        self._was_full = False

    @property
    def process(self) -> int | None:
        """The server's process for the connection."""
        return None if self._connection.is_lost else self._connection.process

    def try_write(self) -> None:
        """As a unit of work: write, and take it back."""
        try_write(self._connection, was_full=self._was_full)
        self._was_full = False

    def commit(self, group: Group) -> Sequence[UnitOutcome]:
        """How each unit ended; all as refused, or as `Unavailable`, when the database fails."""
        # Two groups that deadlocked would do so again: the one that lost goes on alone.
        is_shared = all(job.is_shared for job in group)
        for _ in range(_TRIES):
            if self._connection.is_lost and not self._may_connect():
                return _all(group, self._refusal())
            try:
                self._connect()
                outcomes = self._try(group, _BEGIN_SHARED if is_shared else _BEGIN_ALONE)
            except CommitUnknown as unknown:
                return _all(group, unknown)
            except COLLISIONS:
                self._connection.rollback()
                is_shared = False
            except psycopg.Error as failure:
                if not self._may_try_again(failure):
                    return _all(group, as_refused(failure))
            else:
                self._succeeded()
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
        outcomes = [
            run_under_savepoint(self._connection, self._unit, job, CONCERNS_ALL) for job in group
        ]
        self._connection.commit()
        return [_explained(outcome) for outcome in outcomes]

    def _try_one(self, group: Group) -> Sequence[UnitOutcome]:
        # Alone in its transaction: a savepoint would be two more round trips.
        try:
            result = group[0].work(self._unit)
        except CONCERNS_ALL:
            raise
        except Exception as failure:
            self._connection.rollback()
            if self._connection.is_lost:
                raise psycopg.OperationalError(UNREACHABLE) from failure
            return [_explained((None, failure))]
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
        self._connection.close()
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        self._connection = self._database.connect()
        self._unit = SqlUnit(self._connection, self._secrets)

    def _may_try_again(self, failure: psycopg.Error) -> bool:
        """Roll back, and close a connection that is of no use; whether a new one may do better."""
        self._connection.rollback()
        is_lost, state = self._connection.is_lost, state_of(failure)
        _close_refused(self._connection, failure)
        if state == READ_ONLY and not self._is_read_only:
            self._follow_primary()
        if state == FULL:
            self._was_full = True
        if self._connection.is_lost:
            self._failure = failure
        is_healed = is_lost or state in _HEALED_BY_CONNECTING
        return is_healed and self._connection.is_lost and self._may_connect()

    def _succeeded(self) -> None:
        if self._is_read_only:
            self._follow_primary()
        self._failure = None
        self._pause, self._not_before = _FIRST_PAUSE_S, 0.0

    @property
    def _is_read_only(self) -> bool:
        return self._failure is not None and state_of(self._failure) == READ_ONLY

    def _follow_primary(self) -> None:
        self.primary += 1
        self.on_another_primary()

    def _refusal(self) -> Exception:
        # Each time another one: it collects a traceback wherever it is raised.
        return as_refused(self._failure or psycopg.OperationalError(UNREACHABLE))


def _snapshot(connection: PostgresConnection, unit: SqlUnit, work: Callable[[Unit], T]) -> T:
    try:
        connection.script(_BEGIN_READING)
        return work(unit)
    finally:
        connection.rollback()


def _all(group: Group, failure: Exception) -> Sequence[UnitOutcome]:
    return [(None, failure)] * len(group)


def _explained(outcome: UnitOutcome) -> UnitOutcome:
    """What a unit alone met, such as a table that its role may not write to."""
    result, failure = outcome
    return (result, as_refused(failure)) if isinstance(failure, psycopg.Error) else outcome


def _close_refused(connection: PostgresConnection, failure: psycopg.Error) -> None:
    refusal = refusal_of(failure)
    if refusal is not None and refusal.needs_connection:
        connection.close()


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as failure:
        refused = as_refused(failure)
        raise refused from refused.__cause__
