"""SQLite as the store: write-ahead log, full fsync, group commit.

One thread writes (`group_commit`); other threads read snapshots. Processes that share the database
use a write lock on a separate file. The kernel wakes its waiters immediately, while SQLite's own
busy handler sleeps up to 100 ms between tries.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from outrider.adapters.sql.schema.connection import Row, Secrets, insert_statement
from outrider.adapters.sql.schema.dialect import SQLITE
from outrider.adapters.sql.schema.migrations import migrate
from outrider.adapters.sql.stores import metadata
from outrider.adapters.sql.stores.group_commit import (
    GroupWriter,
    UnitOutcome,
    Watch,
    close_in_thread,
    run_under_savepoint,
)
from outrider.adapters.sql.stores.sqlite_failures import advice_of, as_refused, check_space, refused
from outrider.adapters.sql.stores.sqlite_notify import SqliteNotifier
from outrider.adapters.sql.stores.unit_of_work import SqlUnit
from outrider.adapters.sql.stores.unit_queue import Group
from outrider.domain.ids import InstanceId
from outrider.runtime import Runtime
from outrider.usecases.ports.store import LIGHT, Load, Unit

T = TypeVar("T")

_READERS = 2
# The write lock makes waiting for SQLite's own lock rare: only a backup or a shell holds it.
_BUSY_TIMEOUT_S = 30.0
_CACHED_STATEMENTS = 256
# For each connection. Four times as much made nothing faster: the kernel caches the rest.
_CACHE_KIB = 8 * 1024
# It writes the first page again, with what stands there.
_TOUCH = "PRAGMA application_id = 0"
# So many rows are one statement: each of many would ask the event loop's thread for the interpreter.
_JSON_FROM = 256


class CannotOpen(Exception):
    """The file cannot be used as a store. The text says why, and names the file.

    `advice` is what an operator does about it, where that is known.
    """

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.advice = advice


class SqliteConnection(sqlite3.Connection):
    """`connection.Connection` by the driver itself."""

    dialect = SQLITE

    must_notify = False

    def first_of_each(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> list[Any]:
        return [self.execute(sql, row).fetchone() for row in parameters]

    def insert_rows(self, table: str, columns: str, rows: Sequence[Row], /) -> None:
        if len(rows) < _JSON_FROM:
            self.executemany(insert_statement(table, columns), rows)
        else:
            self.execute(_insert_from_json(table, columns), (json.dumps(rows),))

    def notify_on_commit(self) -> None:
        self.must_notify = True


@dataclass(slots=True)
class SqliteStore:
    """`ports.store.Store` on one file. Open it with `open_sqlite`."""

    path: Path
    secrets: Secrets = field(repr=False)
    _readers: ThreadPoolExecutor = field(init=False, repr=False)
    _reader_units: threading.local = field(default_factory=threading.local, repr=False)
    _reader_connections: list[SqliteConnection] = field(default_factory=list, repr=False)
    _write_lock: int = field(init=False, repr=False)
    _version_connection: SqliteConnection = field(init=False, repr=False)
    _connection: SqliteConnection = field(init=False, repr=False)
    _unit: SqlUnit = field(init=False, repr=False)
    _notifier: SqliteNotifier = field(init=False, repr=False)
    _writer: GroupWriter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Opened here and not in the threads, so that the caller hears what is wrong with the files.
        self._write_lock = _open_lock(self.path)
        self._version_connection = connect(self.path)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")
        self._connection = connect(self.path)
        self._unit = SqlUnit(self._connection, self.secrets)
        self._notifier = SqliteNotifier(self.path.with_name("notifications"))
        self._writer = GroupWriter("sqlite-writer", self._commit, self._connection.close)

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        # Units happen one after the other, also those that need not.
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
        if self._writer.is_proven:
            return
        try:
            await asyncio.to_thread(check_space, self.path.parent)
        except OSError as failure:
            self._writer.require_proof()
            raise refused(failure.errno) from None
        await self._writer.prove(lambda _: self._connection.execute(_TOUCH))

    async def changes(self) -> int:
        # This reads a counter in shared memory: no thread is needed.
        return int(self._version_connection.execute("PRAGMA data_version").fetchone()[0])

    def subscribe(self, on_notification: Callable[[], None]) -> None:
        self._notifier.listen(on_notification)

    @property
    def node(self) -> int | None:
        """None: processes that share the file number themselves by lock files beside it."""
        return None

    def watch_commits(self, watch: Watch) -> None:
        """Call `watch` at every commit from now on."""
        self._writer.watch = watch

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
        for connection in (*self._reader_connections, self._version_connection):
            connection.close()
        os.close(self._write_lock)

    def _at_start(self, work: Callable[[SqliteConnection], T]) -> T:
        with _as_cannot_open(self.path), closing(connect(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        return result

    def _read(self, work: Callable[[Unit], T]) -> T:
        unit, connection = self._reader()
        connection.execute("BEGIN")
        try:
            return work(unit)
        finally:
            connection.execute("ROLLBACK")

    def _reader(self) -> tuple[SqlUnit, SqliteConnection]:
        found: tuple[SqlUnit, SqliteConnection] | None = getattr(self._reader_units, "unit", None)
        if found is None:
            connection = connect(self.path)
            connection.execute("PRAGMA query_only = ON")
            self._reader_connections.append(connection)
            found = self._reader_units.unit = (SqlUnit(connection, self.secrets), connection)
        return found

    def _commit(self, group: Group) -> Sequence[UnitOutcome]:
        self._connection.must_notify = False
        with _locked(self._write_lock):
            outcomes = _commit_group(self._connection, self._unit, group, self.path.parent)
        if self._connection.must_notify:
            self._notifier.notify()
        return outcomes


@asynccontextmanager
async def open_sqlite(path: Path, secrets: Secrets, *, now: datetime) -> AsyncIterator[SqliteStore]:
    """Open the store, its schema up to date; leaving closes it, all writes finished.

    Raise `SchemaTooNew` for data of a newer release, `CannotOpen` for a file that is no database,
    or that this user may not use; the store's methods for the start raise it, too.
    """
    with _as_cannot_open(path):
        _bring_up_to_date(path, now)
        store = SqliteStore(path, secrets)
    try:
        yield store
    finally:
        await close_in_thread(store.close)


def _bring_up_to_date(path: Path, now: datetime) -> None:
    # Processes that start together do it one after the other.
    lock = _open_lock(path)
    try:
        with _locked(lock), closing(connect(path)) as connection:
            migrate(connection, now)
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    lock_file = path.with_name(f"{path.name}.lock")
    return os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def connect(path: Path) -> SqliteConnection:
    """A connection that commits only when told to, and then to the disk."""
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
        factory=SqliteConnection,
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    # Where a savepoint keeps what it may have to restore: by default it becomes a file soon.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _commit_group(
    connection: SqliteConnection, unit: SqlUnit, group: Group, directory: Path
) -> Sequence[UnitOutcome]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        # The disk is full or failing: that concerns the whole group.
        fatal = sqlite3.OperationalError
        outcomes = [run_under_savepoint(connection, unit, job, fatal) for job in group]
        connection.execute("COMMIT")
    except sqlite3.Error as failure:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        refusal = as_refused(failure, directory)
        if refusal is not None:
            refusal.__cause__ = failure
        return [(None, refusal or failure)] * len(group)
    return outcomes


@cache
def _insert_from_json(table: str, columns: str) -> str:
    """Rows from a JSON list of lists. None of their texts may have NUL: it would end there."""
    values = ", ".join(
        f"json_extract(value, '$[{position}]')" for position in range(columns.count(",") + 1)
    )
    return f"INSERT INTO {table} ({columns}) SELECT {values} FROM json_each(?)"  # noqa: S608 - ours


@contextmanager
def _locked(lock_file: int) -> Iterator[None]:
    fcntl.flock(lock_file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock_file, fcntl.LOCK_UN)


@contextmanager
def _as_cannot_open(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as failure:
        refusal = as_refused(failure, path.parent)
        if refusal is None:
            raise CannotOpen(f"{path}: {failure}") from None
        raise CannotOpen(f"{path}: {refusal.reason} ({failure})", refusal.advice) from None
    except OSError as failure:
        text = f"{failure.filename or path}: {failure.strerror}"
        raise CannotOpen(text, advice_of(failure.errno)) from None
