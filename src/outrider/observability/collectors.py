"""Who counts what the other parts tell: the ports of `usecases/metrics`, on cells."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

from outrider.domain.delivery.delivery import Attempt, DeliveryState
from outrider.domain.outcome import Outcome
from outrider.observability import metrics
from outrider.observability.shared_metrics import Counter, Histogram, SharedMetrics, Undeclared

_PAGE_BYTES = resource.getpagesize()
_STATM = Path("/proc/self/statm")


class PublishCollector:
    """`metrics.PublishMetrics`."""

    def __init__(self, meter: SharedMetrics) -> None:
        self._stored = meter.counter(metrics.EVENTS_PUBLISHED, "stored")
        self._duplicates = meter.counter(metrics.EVENTS_PUBLISHED, "duplicate")
        self._owed = meter.counter(metrics.DELIVERIES_CREATED)

    def published(self, stored: int, duplicates: int, deliveries: int) -> None:
        """See the port."""
        self._stored.add(stored)
        self._duplicates.add(duplicates)
        self._owed.add(deliveries)


class InterceptionCollector:
    """`metrics.InterceptionMetrics`."""

    def __init__(self, meter: SharedMetrics) -> None:
        self._asked = {
            (kind, result): meter.counter(metrics.INTERCEPTIONS, kind, result)
            for kind in metrics.INTERCEPTION_KINDS
            for result in metrics.INTERCEPTION_RESULTS
        }
        self._calls = {
            outcome: meter.counter(metrics.INTERCEPTION_CALLS, outcome.name.lower())
            for outcome in Outcome
        }
        self._duration = meter.histogram(metrics.INTERCEPTION_CALL_DURATION)
        self._in_flight = meter.gauge(metrics.CALLS_IN_FLIGHT, "interception")

    def intercepted(self, kind: str, result: str) -> None:
        """See the port."""
        self._asked[kind, result].add()

    def call_began(self) -> None:
        """See the port."""
        self._in_flight.add()

    def call_ended(self, outcome: Outcome | None, seconds: float) -> None:
        """See the port."""
        self._in_flight.add(-1)
        if outcome is not None:
            self._calls[outcome].add()
            self._duration.observe(seconds)


class DeliveryCollector:
    """`metrics.DeliveryMetrics`."""

    def __init__(self, meter: SharedMetrics) -> None:
        self._claimed = meter.counter(metrics.CLAIMED)
        self._at_once = meter.histogram(metrics.CLAIM_BATCH_SIZE)
        self._attempts = {
            outcome: meter.counter(metrics.ATTEMPTS, outcome.name.lower()) for outcome in Outcome
        }
        self._duration = meter.histogram(metrics.ATTEMPT_DURATION)
        self._delay = meter.histogram(metrics.ATTEMPT_DELAY)
        self._settled = {
            DeliveryState[settled_state.upper()]: meter.counter(metrics.SETTLED, settled_state)
            for settled_state in metrics.SETTLED_STATES
        }

    def claimed(self, deliveries: int) -> None:
        """See the port."""
        if deliveries:
            self._claimed.add(deliveries)
            self._at_once.observe(deliveries)

    def attempted(self, attempt: Attempt, state: DeliveryState, delay: float) -> None:
        """See the port."""
        self._attempts[attempt.outcome].add()
        self._duration.observe(attempt.duration.total_seconds())
        # A clock that was set back makes no attempt early.
        self._delay.observe(max(0.0, delay))
        self._settled[state].add()

    def rescued(self, deliveries: int) -> None:
        """See the port."""
        self._attempts[Outcome.LOST].add(deliveries)


class StoreCollector:
    """What the store's writing thread tells."""

    def __init__(self, meter: SharedMetrics) -> None:
        self._ok = meter.counter(metrics.STORE_COMMITS, "ok")
        self._failed = meter.counter(metrics.STORE_COMMITS, "failed")
        self._duration = meter.histogram(metrics.STORE_COMMIT_DURATION)
        self._units = meter.histogram(metrics.STORE_COMMIT_UNITS)

    def __call__(self, units: int, seconds: float, *, failed: bool) -> None:
        """One commit of so many units of work ended."""
        (self._failed if failed else self._ok).add()
        self._duration.observe(seconds)
        self._units.observe(units)


class Process:
    """What a process is, and what it uses: brought up to date by `sample`."""

    def __init__(self, meter: SharedMetrics, role: str) -> None:
        meter.gauge(metrics.PROCESSES, role).set(1)
        self._cpu = meter.counter(metrics.PROCESS_CPU, role)
        self._memory = meter.gauge(metrics.PROCESS_MEMORY, role)
        self._used = 0.0

    def sample(self) -> None:
        """Look once more."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = usage.ru_utime + usage.ru_stime
        self._cpu.add(used - self._used)
        self._used = used
        self._memory.set(_resident_bytes())


class GaugeSampler:
    """Numbers that are there anyway, and are read now and then."""

    def __init__(self, meter: SharedMetrics) -> None:
        self._busy = meter.gauge(metrics.EGRESS_CONNECTIONS, "busy")
        self._idle = meter.gauge(metrics.EGRESS_CONNECTIONS, "idle")
        self._delivering = meter.gauge(metrics.CALLS_IN_FLIGHT, "delivery")

    def connections(self, count: Callable[[], tuple[int, int]]) -> Callable[[], None]:
        """A sample of a caller's connections: busy and idle."""

        def sample() -> None:
            busy, idle = count()
            self._busy.set(busy)
            self._idle.set(idle)

        return sample

    def deliveries(self, count: Callable[[], int]) -> Callable[[], None]:
        """A sample of the attempts that run."""
        return lambda: self._delivering.set(count())


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        # No /proc here: 0 says that it is not known.
        return 0


class Rpcs:
    """`api.telemetry.RpcMetrics`. Nothing is counted before `count_in`."""

    def __init__(self) -> None:
        self._meter: SharedMetrics | None = None
        self._requests: dict[tuple[str, str], Counter] = {}
        self._durations: dict[str, Histogram] = {}

    def count_in(self, meter: SharedMetrics) -> None:
        """Count in a meter that was given every procedure."""
        self._meter = meter

    def answered(self, method: str, code: str, seconds: float) -> None:
        """See the port."""
        if self._meter is None:
            return
        requests = self._requests.get((method, code))
        if requests is None:
            try:
                requests = self._open(self._meter, method, code)
            except Undeclared:
                # Of a service that nobody named: its callers are answered all the same.
                return
        requests.add()
        self._durations[method].observe(seconds)

    def _open(self, meter: SharedMetrics, method: str, code: str) -> Counter:
        service, _, name = method[1:].partition("/")
        requests = meter.counter(metrics.RPC_REQUESTS, service, name, code)
        self._requests[method, code] = requests
        self._durations[method] = meter.histogram(metrics.RPC_DURATION, service, name)
        return requests
