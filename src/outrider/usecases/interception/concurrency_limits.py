"""Limit concurrent calls per target, so that one slow target delays no other (bulkhead)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType

from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.delivery.target_queue import TargetKey
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.outcome import Outcome

DEFAULT_MAX_CONCURRENCY = 256
"""Concurrent calls to a target whose policy has no limit."""


@dataclass(slots=True)
class _Bulkhead:
    """The permits of one target."""

    limit: int
    in_use: int = 0
    waiting: dict[asyncio.Future[None], None] = field(default_factory=dict)

    def admit(self) -> None:
        """Give free permits to those that wait, the oldest first."""
        while self.waiting and self.in_use < self.limit:
            waiter = next(iter(self.waiting))
            del self.waiting[waiter]
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)


@dataclass(slots=True, repr=False)
class Bulkheads:
    """Limits the concurrent calls to each target, in one event loop. First come, first served.

    `repr` shows the sums over all targets: `<Bulkheads 1 targets [in use 256 | waiting 3]>`.
    """

    _bulkheads: dict[TargetKey, _Bulkhead] = field(default_factory=dict)

    def __repr__(self) -> str:
        in_use = sum(bulkhead.in_use for bulkhead in self._bulkheads.values())
        waiting = sum(len(bulkhead.waiting) for bulkhead in self._bulkheads.values())
        return f"<Bulkheads {len(self)} targets [in use {in_use} | waiting {waiting}]>"

    def __len__(self) -> int:
        """How many targets are called right now."""
        return len(self._bulkheads)

    def acquire(
        self, instance: InstanceId, target: TargetId, limit: int, seconds: float
    ) -> _Permit:
        """Hold one of the target's permits in an `async with`.

        Args:
            instance: the instance of the target.
            target: the target to call.
            limit: how many permits the target has; 0 stands for `DEFAULT_MAX_CONCURRENCY`.
            seconds: how long to wait for a permit.

        Raises:
            RequestError: on entering, when no permit was released within `seconds`.
        """
        return _Permit(self, (instance, target), limit or DEFAULT_MAX_CONCURRENCY, seconds)

    async def _acquire(self, target_key: TargetKey, limit: int, seconds: float) -> _Bulkhead:
        bulkhead = self._bulkheads.get(target_key)
        if bulkhead is None:
            bulkhead = self._bulkheads[target_key] = _Bulkhead(limit)
        bulkhead.limit = limit
        # The policy may have raised the limit meanwhile: those that wait longest go first.
        bulkhead.admit()
        if bulkhead.in_use >= limit:
            await self._wait(target_key, bulkhead, seconds)
        else:
            bulkhead.in_use += 1
        return bulkhead

    async def _wait(self, target_key: TargetKey, bulkhead: _Bulkhead, seconds: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bulkhead.waiting[waiter] = None
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except BaseException as failure:
            bulkhead.waiting.pop(waiter, None)
            if waiter.done() and not waiter.cancelled():
                # The permit came in the moment in which its waiter gave up.
                self._release(target_key, bulkhead)
            if isinstance(failure, TimeoutError):
                reason = (
                    f"reached the limit of {bulkhead.limit} concurrent calls to this target;"
                    f" no permit was released within {seconds:.3g} s"
                )
                raise RequestError(Outcome.UNREACHABLE, Stage.CONNECT, reason) from None
            raise

    def _release(self, target_key: TargetKey, bulkhead: _Bulkhead) -> None:
        bulkhead.in_use -= 1
        bulkhead.admit()
        if not bulkhead.in_use and not bulkhead.waiting:
            self._bulkheads.pop(target_key, None)


class _Permit:
    """A permit for one call. A class: a decorated generator takes three times as long."""

    __slots__ = ("_bulkhead", "_bulkheads", "_limit", "_seconds", "_target_key")

    def __init__(
        self, bulkheads: Bulkheads, target_key: TargetKey, limit: int, seconds: float
    ) -> None:
        self._bulkheads = bulkheads
        self._target_key = target_key
        self._limit = limit
        self._seconds = seconds

    async def __aenter__(self) -> None:
        acquire = self._bulkheads._acquire  # noqa: SLF001 - a part of it
        self._bulkhead = await acquire(self._target_key, self._limit, self._seconds)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bulkheads._release(self._target_key, self._bulkhead)  # noqa: SLF001 - a part of it
