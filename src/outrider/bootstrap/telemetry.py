"""What processes count and trace: opened by each of them, shown by the one with the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from outrider import __version__
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import StateCounts, StatsSearch, SuspendedTargets
from outrider.domain.ids import InstanceId
from outrider.observability import metrics
from outrider.observability.collectors import GaugeSampler, Process, Rpcs, StoreCollector
from outrider.observability.exposition import exposed
from outrider.observability.multiprocess import Counted, collect, forget
from outrider.observability.otel import tracing_from
from outrider.observability.shared_metrics import SharedMetrics, memory_metrics, open_shared_metrics
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.tracing import PassedOn, Tracing
from outrider.usecases.routing.routing_table import Routing

if TYPE_CHECKING:
    from outrider.worker.worker import Worker

_DIRECTORY = "metrics"
_SAMPLE_EVERY_S = 1.0
# Counting what is open costs more the more there is: scrapes in between get the numbers before.
_COUNT_EVERY_S = 5.0
_EVERYTHING = StatsSearch(targets=0)


class Connected(Protocol):
    """A caller whose connections are counted."""

    @property
    def connections(self) -> tuple[int, int]:
        """How many are busy and how many idle."""
        ...


@dataclass(slots=True)
class ProcessMetrics:
    """What one process counts, and whose numbers are read now and then."""

    meter: SharedMetrics = field(default_factory=memory_metrics)
    directory: Path | None = None
    callers: list[Connected] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    def connections(self) -> tuple[int, int]:
        """Of all callers: busy and idle."""
        counts = [caller.connections for caller in self.callers]
        return sum(busy for busy, _ in counts), sum(idle for _, idle in counts)

    def attempts(self) -> int:
        """How many attempts run."""
        return sum(worker.running_count for worker in self.workers)


class Committed(Protocol):
    """A store that tells of its commits."""

    def watch_commits(self, watch: StoreCollector) -> None:
        """Tell it of every commit from now on."""
        ...


@contextmanager
def counted(data_dir: Path, store: Committed) -> Iterator[ProcessMetrics]:
    """Count in the data directory, the store's commits first of all.

    Where there is none, or none that this process may write to, nobody sees what it counts.
    """
    directory = data_dir / _DIRECTORY
    try:
        counting = (
            ProcessMetrics(open_shared_metrics(directory), directory)
            if data_dir.is_dir()
            else ProcessMetrics()
        )
    except OSError:
        counting = ProcessMetrics()
    store.watch_commits(StoreCollector(counting.meter))
    try:
        yield counting
    finally:
        counting.meter.close()


def forget_counts(data_dir: Path) -> None:
    """Begin at zero: for a server that starts and holds the directory."""
    forget(data_dir / _DIRECTORY)


@asynccontextmanager
async def sampled(counting: ProcessMetrics, role: str) -> AsyncIterator[None]:
    """Keep the numbers current that are read now and then. `role` is one of `metrics.ROLES`."""
    process, read = Process(counting.meter, role), GaugeSampler(counting.meter)
    samples = (
        process.sample,
        read.connections(counting.connections),
        read.deliveries(counting.attempts),
    )
    sampling = asyncio.create_task(_sample(samples))
    try:
        yield
    finally:
        sampling.cancel()


async def _sample(samples: Sequence[Callable[[], None]]) -> None:
    while True:
        for sample in samples:
            sample()
        await asyncio.sleep(_SAMPLE_EVERY_S)


def open_tracing(runtime: Runtime) -> Tracing | None:
    """What records spans, as the environment says (`OTEL_…`); None: nothing does."""
    return tracing_from(PassedOn(runtime.new_id))


@dataclass(slots=True)
class Scrape:
    """The text of `/metrics`: what all processes counted, and what the store holds."""

    store: Store
    runtime: Runtime
    instance: InstanceId
    routing: Routing
    counting: ProcessMetrics
    _started_at: datetime = field(init=False)
    _stored: StateCounts = field(default_factory=StateCounts)
    _held: SuspendedTargets = field(default_factory=SuspendedTargets)
    _stored_at: float | None = None
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._started_at = self.runtime.now()

    async def __call__(self) -> str:
        """Gather it. A store that fails leaves its own numbers as they were."""
        async with self._counting:
            if self._stored_at is None or time.monotonic() - self._stored_at > _COUNT_EVERY_S:
                await self._count_stored()
        directory = self.counting.directory
        counted = Counted() if directory is None else await asyncio.to_thread(collect, directory)
        self._put_stored(counted)
        counted.put(metrics.ROUTING_REVISION.name, (), self.routing.revision)
        counted.put(metrics.ROUTING_AGE.name, (), self.routing.age)
        counted.put(metrics.START_TIME.name, (), self._started_at.timestamp())
        counted.put(metrics.BUILD_INFO.name, (__version__,), 1)
        return exposed(counted)

    async def _count_stored(self) -> None:
        try:
            self._stored, self._held = await self.store.read(self._tally)
        except Exception:  # noqa: BLE001 - the age tells, and so does /readyz
            return
        self._stored_at = time.monotonic()

    def _tally(self, unit: Unit) -> tuple[StateCounts, SuspendedTargets]:
        whole, now = StateCounts(), self.runtime.now()
        instances = {self.instance, *(each.id for each in unit.instances.list())}
        for instance in instances:
            stats = unit.delivery_counts.get(instance, _EVERYTHING, now)
            for state, count in stats.counts.items():
                whole.add(state, count)
            whole.add(DeliveryState.PENDING, 0, stats.oldest_open_at)
        return whole, unit.delivery_counts.suspended_targets(now)

    def _put_stored(self, counted: Counted) -> None:
        for state in DeliveryState:
            number = self._stored.counts.get(state, 0)
            counted.put(metrics.DELIVERIES.name, (state.name.lower(),), number)
        oldest, age = self._stored.oldest_open_at, 0.0
        if oldest is not None:
            age = max(0.0, (self.runtime.now() - oldest).total_seconds())
        counted.put(metrics.OLDEST_OPEN.name, (), age)
        counted.put(metrics.TARGETS_SUSPENDED.name, ("paused",), self._held.paused)
        counted.put(metrics.TARGETS_SUSPENDED.name, ("breaker_open",), self._held.breaker_open)
        counted.put(metrics.TARGET_QUEUES.name, (), self._held.target_queues)
        if self._stored_at is not None:
            counted.put(metrics.STATS_AGE.name, (), time.monotonic() - self._stored_at)


def count_rpcs(
    counting: ProcessMetrics, rpcs: Rpcs, services: Sequence[Any]
) -> SharedMetrics | None:
    """Have the calls of these services counted, in cells of their own; their owner closes them."""
    if counting.directory is None:
        return None
    procedures = [
        (service.descriptor.type_name, method.name)
        for service in services
        for method in service.descriptor.methods
    ]
    meter = open_shared_metrics(
        counting.directory, {metrics.RPC_REQUESTS.label_names[0]: procedures}
    )
    rpcs.count_in(meter)
    return meter
