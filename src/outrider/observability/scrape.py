"""The text of `/metrics`: what all processes counted, and what the store holds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from outrider import __version__
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import StateCounts, SuspendedTargets
from outrider.observability import metrics
from outrider.observability.exposition import render
from outrider.observability.multiprocess import Totals, collect
from outrider.observability.process_metrics import ProcessMetrics
from outrider.runtime import Runtime

# Counting what is open costs more the more there is: scrapes in between get the numbers before.
_COUNT_EVERY_S = 5.0


class StatsReader(Protocol):
    """The numbers of the whole store; `usecases.delivery.store_stats.StoreStats` has them."""

    async def read(self) -> tuple[StateCounts, SuspendedTargets]:
        """Count in one snapshot."""
        ...


class RoutesState(Protocol):
    """The age of the routes of this process."""

    @property
    def revision(self) -> int:
        """The store's revision that they were made from."""
        ...

    @property
    def age(self) -> float:
        """Seconds since they were last compared with the store."""
        ...


@dataclass(slots=True)
class Scrape:
    """Answers one scrape after the other with the numbers of this moment."""

    stats: StatsReader
    runtime: Runtime
    routes: RoutesState
    process_metrics: ProcessMetrics
    _started_at: datetime = field(init=False)
    _deliveries: StateCounts = field(default_factory=StateCounts)
    _suspended: SuspendedTargets = field(default_factory=SuspendedTargets)
    _read_at: float | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._started_at = self.runtime.now()

    async def __call__(self) -> str:
        """Gather the text. A store that fails leaves its own numbers as they were."""
        async with self._reading:
            if self._read_at is None or time.monotonic() - self._read_at > _COUNT_EVERY_S:
                await self._read_stats()
        directory = self.process_metrics.directory
        totals = Totals() if directory is None else await asyncio.to_thread(collect, directory)
        self._put_stats(totals)
        totals.put(metrics.ROUTING_REVISION.name, (), self.routes.revision)
        totals.put(metrics.ROUTING_AGE.name, (), self.routes.age)
        totals.put(metrics.START_TIME.name, (), self._started_at.timestamp())
        totals.put(metrics.BUILD_INFO.name, (__version__,), 1)
        return render(totals)

    async def _read_stats(self) -> None:
        try:
            self._deliveries, self._suspended = await self.stats.read()
        except Exception:  # noqa: BLE001 - the age tells, and so does /readyz
            return
        self._read_at = time.monotonic()

    def _put_stats(self, totals: Totals) -> None:
        for state in DeliveryState:
            count = self._deliveries.counts.get(state, 0)
            totals.put(metrics.DELIVERIES.name, (state.name.lower(),), count)
        oldest, age = self._deliveries.oldest_open_at, 0.0
        if oldest is not None:
            age = max(0.0, (self.runtime.now() - oldest).total_seconds())
        totals.put(metrics.OLDEST_OPEN.name, (), age)
        totals.put(metrics.TARGETS_SUSPENDED.name, ("paused",), self._suspended.paused)
        totals.put(metrics.TARGETS_SUSPENDED.name, ("breaker_open",), self._suspended.breaker_open)
        totals.put(metrics.TARGET_QUEUES.name, (), self._suspended.target_queues)
        if self._read_at is not None:
            totals.put(metrics.STATS_AGE.name, (), time.monotonic() - self._read_at)
