"""The metrics of one process, and the gauges that it samples now and then."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from outrider.observability import metrics
from outrider.observability.shared_metrics import SharedMetrics, memory_metrics

_SAMPLE_EVERY_S = 1.0
_PAGE_BYTES = resource.getpagesize()
_STATM = Path("/proc/self/statm")


class ConnectionCount(Protocol):
    """An HTTP client that counts its connections."""

    @property
    def connections(self) -> tuple[int, int]:
        """Return how many connections are busy and how many are idle."""
        ...


class AttemptCount(Protocol):
    """A worker that counts its running attempts."""

    @property
    def running_count(self) -> int:
        """Return how many attempts are running."""
        ...


@dataclass(slots=True)
class ProcessMetrics:
    """The metrics of one process, and the clients and workers that it samples.

    `directory` is where the numbers of all processes are; None: no other process can read these.
    """

    shared: SharedMetrics = field(default_factory=memory_metrics)
    directory: Path | None = None
    clients: list[ConnectionCount] = field(default_factory=list)
    workers: list[AttemptCount] = field(default_factory=list)

    def connections(self) -> tuple[int, int]:
        """Of all clients: busy and idle."""
        counts = [client.connections for client in self.clients]
        return sum(busy for busy, _ in counts), sum(idle for _, idle in counts)

    def attempts(self) -> int:
        """Return how many attempts are running."""
        return sum(worker.running_count for worker in self.workers)


class GaugeSampler:
    """Keeps the numbers current that a process reads instead of counting.

    `role` is one of `metrics.ROLES`.
    """

    def __init__(self, process: ProcessMetrics, role: str) -> None:
        shared = process.shared
        shared.gauge(metrics.PROCESSES, role).set(1)
        self._process = process
        self._cpu = shared.counter(metrics.PROCESS_CPU, role)
        self._memory = shared.gauge(metrics.PROCESS_MEMORY, role)
        self._cpu_seconds = 0.0
        self._busy = shared.gauge(metrics.EGRESS_CONNECTIONS, "busy")
        self._idle = shared.gauge(metrics.EGRESS_CONNECTIONS, "idle")
        self._delivering = shared.gauge(metrics.CALLS_IN_FLIGHT, "delivery")

    async def run(self) -> None:
        """Sample immediately, then every second, until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_SAMPLE_EVERY_S)

    def sample(self) -> None:
        """Read every number once."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        self._cpu.add(cpu_seconds - self._cpu_seconds)
        self._cpu_seconds = cpu_seconds
        self._memory.set(_resident_bytes())
        busy, idle = self._process.connections()
        self._busy.set(busy)
        self._idle.set(idle)
        self._delivering.set(self._process.attempts())


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        # No /proc here: 0 says that it is not known.
        return 0
