"""SQLite as the store: write-ahead log, full fsync, group commit.

One thread writes. It gathers the units that arrived while the last commit was on its way to the
disk, runs each under a savepoint, and commits once for all of them. Threads of their own read
snapshots. Processes that share the file take turns by a lock file, whose waiters the kernel wakes
at once: SQLite's own busy handler sleeps up to 100 ms between tries.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from outrider.adapters.sql import facts
from outrider.adapters.sql.columns import Connection
from outrider.adapters.sql.migrations import migrate
from outrider.adapters.sql.secrets import Secrets
from outrider.adapters.sql.unit import SqlUnit
from outrider.ambient import Ambient
from outrider.domain.ids import InstanceId
from outrider.errors import Unavailable
from outrider.usecases.ports import Unit

T = TypeVar("T")

# How many units share one commit. More would only make the first of them wait longer.
_MAX_GROUP = 256
_READERS = 2
# The lock file makes waiting for SQLite's own lock rare: only a backup or a shell holds it.
_BUSY_TIMEOUT_S = 30.0
_CACHED_STATEMENTS = 256
# For each connection. Four times as much made nothing faster: what it lacks the kernel has.
_CACHE_KIB = 8 * 1024
_FULL = "database or disk is full"

_Outcome = tuple[Any, BaseException | None]


class CannotOpen(Exception):
    """The file cannot be used as a store. The text says why, and names the file."""


@dataclass(slots=True)
class _Job:
    work: Callable[[Unit], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


@dataclass(slots=True)
class SqliteStore:
    """`ports.Store` on one file. Open it with `open_sqlite`."""

    path: Path
    secrets: Secrets = field(repr=False)
    _jobs: SimpleQueue[_Job | None] = field(default_factory=SimpleQueue, repr=False)
    _readers: ThreadPoolExecutor = field(init=False, repr=False)
    _reader_units: threading.local = field(default_factory=threading.local, repr=False)
    _reader_connections: list[Connection] = field(default_factory=list, repr=False)
    _turnstile: int = field(init=False, repr=False)
    _watch: Connection = field(init=False, repr=False)
    _writer: threading.Thread = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Opened here and not in the threads: what is wrong with the files is told to who opens.
        turn = self.path.with_name(f"{self.path.name}.turn")
        self._turnstile = os.open(turn, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._watch = connect(self.path)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")
        self._writer = threading.Thread(
            target=self._write_groups, args=(connect(self.path),), name="sqlite-writer", daemon=True
        )
        self._writer.start()

    async def write(self, work: Callable[[Unit], T]) -> T:
        """See the port."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        return await future

    async def read(self, work: Callable[[Unit], T]) -> T:
        """See the port."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    async def changes(self) -> int:
        """See the port. Reads a counter in shared memory: no thread is asked."""
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def check_secrets(self) -> None:
        """Raise what `Secrets.open` raises when these secrets did not seal this store's."""
        self._at_start(lambda connection: facts.check_secrets(connection, self.secrets))

    def last_identifier(self) -> int:
        """The largest identifier in use; 0 in a new store."""
        return self._at_start(facts.last_identifier)

    def default_instance(self, ambient: Ambient) -> InstanceId:
        """The instance that exists from the first start on."""
        return self._at_start(lambda connection: facts.default_instance(connection, ambient))

    def close(self) -> None:
        """Finish what was handed over, then close."""
        self._jobs.put(None)
        self._writer.join()
        self._readers.shutdown()
        for connection in (*self._reader_connections, self._watch):
            connection.close()
        os.close(self._turnstile)

    def _at_start(self, work: Callable[[Connection], T]) -> T:
        with _explained(self.path), closing(connect(self.path)) as connection:
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

    def _reader(self) -> tuple[SqlUnit, Connection]:
        found: tuple[SqlUnit, Connection] | None = getattr(self._reader_units, "unit", None)
        if found is None:
            connection = connect(self.path)
            connection.execute("PRAGMA query_only = ON")
            self._reader_connections.append(connection)
            found = self._reader_units.unit = (SqlUnit(connection, self.secrets), connection)
        return found

    def _write_groups(self, connection: Connection) -> None:
        unit = SqlUnit(connection, self.secrets)
        for group in self._groups():
            with _turn(self._turnstile):
                outcomes = _commit_group(connection, unit, group)
            _answer(group, outcomes)
        connection.close()

    def _groups(self) -> Iterator[list[_Job]]:
        while (job := self._jobs.get()) is not None:
            group, is_last = [job], False
            while len(group) < _MAX_GROUP and not is_last:
                try:
                    more = self._jobs.get_nowait()
                except Empty:
                    break
                is_last = more is None
                if more is not None:
                    group.append(more)
            yield group
            if is_last:
                return


@asynccontextmanager
async def open_sqlite(path: Path, secrets: Secrets, *, now: datetime) -> AsyncIterator[SqliteStore]:
    """Open the store, its schema up to date; leaving closes it, all writes finished.

    Raise `SchemaTooNew` for data of a newer release, `CannotOpen` for a file that is no database,
    or that this user may not use; the store's questions at the start raise it, too.
    """
    with _explained(path):
        with closing(connect(path)) as connection:
            migrate(connection, now)
        store = SqliteStore(path, secrets)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def connect(path: Path) -> Connection:
    """A connection that commits only when told to, and then to the disk."""
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    # Where a savepoint keeps what it may have to restore: by default it becomes a file soon.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _commit_group(connection: Connection, unit: SqlUnit, group: list[_Job]) -> list[_Outcome]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_run(connection, unit, job) for job in group]
        connection.execute("COMMIT")
    except sqlite3.Error as failure:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [(None, _as_unavailable(failure))] * len(group)
    return outcomes


def _run(connection: Connection, unit: SqlUnit, job: _Job) -> _Outcome:
    connection.execute("SAVEPOINT one")
    try:
        outcome: _Outcome = (job.work(unit), None)
    except sqlite3.OperationalError:
        # The disk is full or failing: that is the whole group's trouble.
        raise
    except Exception as failure:  # noqa: BLE001 - it belongs to whoever asked, not to this thread
        connection.execute("ROLLBACK TO one")
        outcome = (None, failure)
    connection.execute("RELEASE one")
    return outcome


def _as_unavailable(failure: sqlite3.Error) -> Exception:
    if _FULL in str(failure):
        return Unavailable("the store's disk is full: nothing of this call was stored")
    return failure


def _answer(group: list[_Job], outcomes: list[_Outcome]) -> None:
    waiting: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for job, outcome in zip(group, outcomes, strict=True):
        waiting.setdefault(job.loop, []).append((job.future, outcome))
    for loop, answers in waiting.items():
        # One wake-up for the whole group. A loop that was closed has nobody waiting.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, (result, failure) in answers:
        if future.done():
            continue
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)


@contextmanager
def _turn(turnstile: int) -> Iterator[None]:
    fcntl.flock(turnstile, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(turnstile, fcntl.LOCK_UN)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as failure:
        raise CannotOpen(f"{path}: {failure}") from None
    except OSError as failure:
        raise CannotOpen(f"{failure.filename or path}: {failure.strerror}") from None
