"""Group commit: one thread writes, and one commit has the units that arrived during the last one.

`unit_queue` chooses the units: tenants take turns, and a large unit is committed alone.

The `commit` of a `GroupWriter` knows the database. It runs the units of one group and returns the
result of each, in order.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from outrider.adapters.sql.schema.connection import Connection
from outrider.adapters.sql.stores.unit_of_work import SqlUnit
from outrider.adapters.sql.stores.unit_queue import Group, Job, UnitQueue
from outrider.errors import OutriderError, Unavailable
from outrider.usecases.ports.store import LIGHT, Load, Unit, WriteRefused

T = TypeVar("T")

PROVEN_S = 1.0
"""How long a commit proves that the next one would succeed."""

UnitOutcome = tuple[Any, BaseException | None]
"""What a unit returned, or what it raised."""


class Watch(Protocol):
    """Hears of every commit, in the thread that writes."""

    def __call__(self, units: int, seconds: float, *, failed: bool) -> None:
        """`units` shared the commit, which took `seconds`."""
        ...


class GroupWriter:
    """The thread that writes. `commit` and `close` run in it, one call after the other.

    `watch` may be set at any time.
    """

    def __init__(
        self, name: str, commit: Callable[[Group], Sequence[UnitOutcome]], close: Callable[[], None]
    ) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._commit = commit
        self._close = close
        self.watch: Watch | None = None
        self._proven_at = -math.inf
        self._needs_proof = False
        self.is_closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Unit], T], *, shared: bool, load: Load) -> T:
        """Return what the unit returned, when its group is committed; raise what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(Job(work, shared, load, loop, future))
        return await future

    @property
    def is_proven(self) -> bool:
        """Whether commits succeed: one did a moment ago, and none has failed since `prove`."""
        return time.monotonic() - self._proven_at < PROVEN_S

    async def prove(self, work: Callable[[Unit], object]) -> None:
        """Commit `work`, after which nothing is left of an earlier failure; raise what the commit raises."""
        await self.write(work, shared=True, load=LIGHT)
        self._needs_proof, self._proven_at = False, time.monotonic()

    def require_proof(self) -> None:
        """Nothing is proven until `prove`: the caller knows that larger commits would fail."""
        self._needs_proof, self._proven_at = True, -math.inf

    def close(self) -> None:
        """Finish all units that were passed in, then end the thread."""
        self.is_closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        for group in self._groups():
            _finish(group, self._outcomes(group))
        self._close()

    def _outcomes(self, group: Group) -> Sequence[UnitOutcome]:
        began = time.perf_counter()
        try:
            outcomes = self._commit(group)
        except Exception as failure:  # noqa: BLE001 - else all later writers would wait for ever
            outcomes = [(None, failure)] * len(group)
        failed = _is_failed(outcomes)
        self._note(failed=failed or any(isinstance(end, WriteRefused) for _, end in outcomes))
        if self.watch is not None:
            self.watch(len(group), time.perf_counter() - began, failed=failed)
        return outcomes

    def _note(self, *, failed: bool) -> None:
        # While the disk is nearly full small groups succeed and larger ones do not: only `prove`,
        # which asks for more than a small group takes, ends that.
        if failed:
            self.require_proof()
        elif not self._needs_proof:
            self._proven_at = time.monotonic()

    def _groups(self) -> Iterator[Group]:
        waiting, is_closed = UnitQueue(), False
        while waiting or not is_closed:
            if not waiting and not is_closed:
                is_closed = self._take(waiting, self._jobs.get())
            with suppress(Empty):
                while not is_closed:
                    is_closed = self._take(waiting, self._jobs.get_nowait())
            if waiting:
                yield waiting.next_group()

    @staticmethod
    def _take(waiting: UnitQueue, job: Job | None) -> bool:
        """Add what has come; whether it was the word to close."""
        if job is not None:
            waiting.add(job)
        return job is None


async def close_in_thread(close: Callable[[], None]) -> None:
    """Run what blocks in a thread; in this one while the interpreter ends and no thread takes work."""
    try:
        closing = asyncio.get_running_loop().run_in_executor(None, close)
    except RuntimeError:
        close()
        return
    await closing


def run_under_savepoint(
    connection: Connection,
    unit: SqlUnit,
    job: Job,
    fatal: type[Exception] | tuple[type[Exception], ...],
) -> UnitOutcome:
    """Run one unit of several: when it raises, only its own changes are rolled back.

    `fatal` errors concern the whole group, such as a full disk: they are raised.
    """
    connection.execute("SAVEPOINT one")
    try:
        outcome: UnitOutcome = (job.work(unit), None)
    except fatal:
        raise
    except Exception as failure:  # noqa: BLE001 - its caller gets it, not this thread
        connection.execute("ROLLBACK TO SAVEPOINT one")
        outcome = (None, failure)
    connection.execute("RELEASE SAVEPOINT one")
    return outcome


def _is_failed(outcomes: Sequence[UnitOutcome]) -> bool:
    """Whether the group has failed as a whole, and not only one of its units."""
    failure = outcomes[0][1]
    if failure is None or any(other is not failure for _, other in outcomes):
        return False
    return isinstance(failure, Unavailable) or not isinstance(failure, OutriderError)


def _finish(group: Group, outcomes: Sequence[UnitOutcome]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], UnitOutcome]]] = {}
    for job, outcome in zip(group, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, outcome))
    for loop, results in by_loop.items():
        # One wake-up for the whole group. In a loop that was closed no caller waits.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: list[tuple[asyncio.Future[Any], UnitOutcome]]) -> None:
    for future, (result, failure) in results:
        if future.done():
            continue
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
