"""Metrics ports of the use cases and of the API, counted in shared metrics."""

from __future__ import annotations

from outrider.domain.delivery.delivery import Attempt, DeliveryState
from outrider.domain.outcome import Outcome
from outrider.observability import metrics
from outrider.observability.shared_metrics import (
    Counter,
    Histogram,
    SharedMetrics,
    UndeclaredMetric,
)


class PublishCollector:
    """`usecases.ports.telemetry.PublishMetrics`."""

    def __init__(self, shared_metrics: SharedMetrics) -> None:
        self._stored = shared_metrics.counter(metrics.EVENTS_PUBLISHED, "stored")
        self._duplicates = shared_metrics.counter(metrics.EVENTS_PUBLISHED, "duplicate")
        self._deliveries = shared_metrics.counter(metrics.DELIVERIES_CREATED)
        self._refused = {
            reason: shared_metrics.counter(metrics.PUBLISHES_REFUSED, reason)
            for reason in metrics.REFUSED_PUBLISH_REASONS
        }

    def published(self, stored: int, duplicates: int, deliveries: int) -> None:
        self._stored.add(stored)
        self._duplicates.add(duplicates)
        self._deliveries.add(deliveries)

    def refused(self, reason: str) -> None:
        self._refused[reason].add()


class InterceptionCollector:
    """`usecases.ports.telemetry.InterceptionMetrics`."""

    def __init__(self, shared_metrics: SharedMetrics) -> None:
        self._interceptions = {
            (kind, result): shared_metrics.counter(metrics.INTERCEPTIONS, kind, result)
            for kind in metrics.INTERCEPTION_KINDS
            for result in metrics.INTERCEPTION_RESULTS
        }
        self._calls = {
            outcome: shared_metrics.counter(metrics.INTERCEPTION_CALLS, outcome.name.lower())
            for outcome in Outcome
        }
        self._duration = shared_metrics.histogram(metrics.INTERCEPTION_CALL_DURATION)
        self._in_flight = shared_metrics.gauge(metrics.CALLS_IN_FLIGHT, "interception")

    def intercepted(self, kind: str, result: str) -> None:
        self._interceptions[kind, result].add()

    def call_began(self) -> None:
        self._in_flight.add()

    def call_ended(self, outcome: Outcome | None, seconds: float) -> None:
        self._in_flight.add(-1)
        if outcome is not None:
            self._calls[outcome].add()
            self._duration.observe(seconds)


class DeliveryCollector:
    """`usecases.ports.telemetry.DeliveryMetrics`."""

    def __init__(self, shared_metrics: SharedMetrics) -> None:
        self._claimed = shared_metrics.counter(metrics.DELIVERIES_CLAIMED)
        self._batch_size = shared_metrics.histogram(metrics.CLAIM_BATCH_SIZE)
        self._attempts = {
            outcome: shared_metrics.counter(metrics.ATTEMPTS, outcome.name.lower())
            for outcome in Outcome
        }
        self._duration = shared_metrics.histogram(metrics.ATTEMPT_DURATION)
        self._delay = shared_metrics.histogram(metrics.ATTEMPT_DELAY)
        self._transitions = {
            DeliveryState[state.upper()]: shared_metrics.counter(
                metrics.DELIVERY_TRANSITIONS, state
            )
            for state in metrics.TRANSITION_STATES
        }

    def claimed(self, deliveries: int) -> None:
        if deliveries:
            self._claimed.add(deliveries)
            self._batch_size.observe(deliveries)

    def attempted(self, attempt: Attempt, state: DeliveryState, delay: float) -> None:
        self._attempts[attempt.outcome].add()
        self._duration.observe(attempt.duration.total_seconds())
        # A clock that was set back makes no attempt early.
        self._delay.observe(max(0.0, delay))
        self._transitions[state].add()

    def rescued(self, deliveries: int) -> None:
        self._attempts[Outcome.LOST].add(deliveries)


class StoreCollector:
    """Commits, as the store's writing thread reports them."""

    def __init__(self, shared_metrics: SharedMetrics) -> None:
        self._ok = shared_metrics.counter(metrics.STORE_COMMITS, "ok")
        self._failed = shared_metrics.counter(metrics.STORE_COMMITS, "failed")
        self._duration = shared_metrics.histogram(metrics.STORE_COMMIT_DURATION)
        self._batch_size = shared_metrics.histogram(metrics.STORE_COMMIT_BATCH_SIZE)

    def __call__(self, units: int, seconds: float, *, failed: bool) -> None:
        """One commit of so many units of work ended."""
        (self._failed if failed else self._ok).add()
        self._duration.observe(seconds)
        self._batch_size.observe(units)


class RpcCollector:
    """`api.rpc.telemetry.RpcMetrics`. Nothing is counted before `count_in`."""

    def __init__(self) -> None:
        self._shared_metrics: SharedMetrics | None = None
        self._requests: dict[tuple[str, str], Counter] = {}
        self._durations: dict[str, Histogram] = {}

    def count_in(self, shared_metrics: SharedMetrics) -> None:
        """Count in metrics that have a series for every procedure."""
        self._shared_metrics = shared_metrics

    def answered(self, method: str, code: str, seconds: float) -> None:
        if self._shared_metrics is None:
            return
        requests = self._requests.get((method, code))
        if requests is None:
            try:
                requests = self._open(self._shared_metrics, method, code)
            except UndeclaredMetric:
                # Of a service without procedures here: its callers get their answer all the same.
                return
        requests.add()
        self._durations[method].observe(seconds)

    def _open(self, shared_metrics: SharedMetrics, method: str, code: str) -> Counter:
        service, _, name = method[1:].partition("/")
        requests = shared_metrics.counter(metrics.RPC_REQUESTS, service, name, code)
        self._requests[method, code] = requests
        self._durations[method] = shared_metrics.histogram(metrics.RPC_DURATION, service, name)
        return requests
