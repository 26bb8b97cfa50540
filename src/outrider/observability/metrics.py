"""Every metric, declared once: name, type, help, labels with all their values, buckets.

What is not declared cannot be counted. Labels are of small closed sets: no identifier of a target,
an account, an instance or an event is ever a label, because each value costs a series. Names and
units are Prometheus's (https://prometheus.io/docs/practices/naming/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.outcome import Outcome

Values = tuple[str, ...]
OpenLabelValues = Mapping[str, Sequence[Values]]
"""Label values of open dimensions, by the dimension's first label."""


class Kind(StrEnum):
    """The kind of a metric: it only grows, goes up and down, or counts values by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Dimension:
    """Labels that vary together, with every combination of values.

    `is_open`: the process that counts gives the values when it starts, such as its procedures.
    """

    names: Values
    values: tuple[Values, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """One declaration. `buckets` are upper bounds of a histogram, without infinity."""

    name: str
    kind: Kind
    help: str
    dimensions: tuple[Dimension, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> Values:
        """All labels, in order."""
        return tuple(name for dimension in self.dimensions for name in dimension.names)

    @property
    def is_open(self) -> bool:
        """Return whether only the counting process knows some label values: zeros are not shown then."""
        return any(dimension.is_open for dimension in self.dimensions)

    @property
    def width(self) -> int:
        """Numbers kept for one series: one; of a histogram its buckets, infinity and the sum."""
        return len(self.buckets) + 2 if self.kind is Kind.HISTOGRAM else 1

    def series(self, open_values: OpenLabelValues) -> Iterator[Values]:
        """The label values of every series, in the order in which they are kept."""
        for parts in product(*(_values(dimension, open_values) for dimension in self.dimensions)):
            yield tuple(value for part in parts for value in part)


def _values(dimension: Dimension, open_values: OpenLabelValues) -> Sequence[Values]:
    return open_values.get(dimension.names[0], ()) if dimension.is_open else dimension.values


def _one(name: str, *values: str) -> Dimension:
    return Dimension((name,), tuple((value,) for value in values))


@dataclass(slots=True)
class _Table:
    declared: dict[str, Metric] = field(default_factory=dict)

    def add(
        self,
        kind: Kind,
        name: str,
        help_text: str,
        *dimensions: Dimension,
        buckets: tuple[float, ...] = (),
    ) -> Metric:
        metric = Metric(name, kind, help_text, dimensions, buckets)
        if name in self.declared:
            raise ValueError(f"{name} is declared twice")
        self.declared[name] = metric
        return metric

    def counter(self, name: str, help_text: str, *dimensions: Dimension) -> Metric:
        return self.add(Kind.COUNTER, name, help_text, *dimensions)

    def gauge(self, name: str, help_text: str, *dimensions: Dimension) -> Metric:
        return self.add(Kind.GAUGE, name, help_text, *dimensions)

    def histogram(
        self, name: str, help_text: str, *dimensions: Dimension, buckets: tuple[float, ...]
    ) -> Metric:
        return self.add(Kind.HISTOGRAM, name, help_text, *dimensions, buckets=buckets)


OK = "ok"
CODES = (
    OK,
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
)
"""How a call ends, in Connect's words."""

OUTCOMES = tuple(outcome.name.lower() for outcome in Outcome)
STATES = tuple(delivery_state.name.lower() for delivery_state in DeliveryState)
TRANSITION_STATES = ("retrying", "delivered", "dead", "cancelled")
ROLES = ("api", "worker", "engine")
REFUSED_PUBLISH_REASONS = ("conflict", "hops")
INTERCEPTION_KINDS = ("request", "response", "function")
INTERCEPTION_RESULTS = ("unmatched", "passed", "interrupted")
CALL_KINDS = ("delivery", "interception")

_PROCEDURE = Dimension(("service", "method"), is_open=True)
_VERSION = Dimension(("version",), is_open=True)
_OUTCOME = _one("outcome", *OUTCOMES)
_ROLE = _one("role", *ROLES)

# From half a millisecond, an answer on this machine, to the longest time-out of a target.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 300)
# From a worker's next poll to a day behind.
_DELAYS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 10800, 86400)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_TABLE = _Table()

RPC_REQUESTS = _TABLE.counter(
    "outrider_rpc_requests_total",
    "Calls of the API that were answered, on every wire, by how they ended.",
    _PROCEDURE,
    _one("code", *CODES),
)
RPC_DURATION = _TABLE.histogram(
    "outrider_rpc_duration_seconds",
    "Time from a call's headers to its answer.",
    _PROCEDURE,
    buckets=_SECONDS,
)
EVENTS_PUBLISHED = _TABLE.counter(
    "outrider_events_published_total",
    "Events that publishers were told are stored; a duplicate was known before.",
    _one("result", "stored", "duplicate"),
)
PUBLISHES_REFUSED = _TABLE.counter(
    "outrider_publishes_refused_total",
    "Calls refused for an id that belongs to an event with another content (conflict), or for an event"
    " that came through too many outriders (hops).",
    _one("reason", *REFUSED_PUBLISH_REASONS),
)
DELIVERIES_CREATED = _TABLE.counter(
    "outrider_deliveries_created_total", "Deliveries that published events made."
)
ATTEMPTS = _TABLE.counter(
    "outrider_delivery_attempts_total",
    "Attempts of deliveries by how they ended; LOST ones as the rescuer finds them.",
    _OUTCOME,
)
ATTEMPT_DURATION = _TABLE.histogram(
    "outrider_attempt_duration_seconds",
    "Time of one attempt, from building the call to the last byte of the answer.",
    buckets=_SECONDS,
)
ATTEMPT_DELAY = _TABLE.histogram(
    "outrider_attempt_delay_seconds",
    "Time from when a delivery was due until its attempt began; limits of its target included.",
    buckets=_DELAYS,
)
DELIVERY_TRANSITIONS = _TABLE.counter(
    "outrider_delivery_transitions_total",
    "Attempts by the state of their delivery afterwards.",
    _one("state", *TRANSITION_STATES),
)
INTERCEPTIONS = _TABLE.counter(
    "outrider_interceptions_total",
    "Requests, responses and functions that were asked about, by what came of it.",
    _one("kind", *INTERCEPTION_KINDS),
    _one("result", *INTERCEPTION_RESULTS),
)
INTERCEPTION_CALLS = _TABLE.counter(
    "outrider_interception_calls_total",
    "Targets called while a caller waited, by how that ended.",
    _OUTCOME,
)
INTERCEPTION_CALL_DURATION = _TABLE.histogram(
    "outrider_interception_call_duration_seconds",
    "Time of one target's call while a caller waited.",
    buckets=_SECONDS,
)
CALLS_IN_FLIGHT = _TABLE.gauge(
    "outrider_calls_in_flight", "Calls of targets that are under way.", _one("kind", *CALL_KINDS)
)
EGRESS_CONNECTIONS = _TABLE.gauge(
    "outrider_egress_connections",
    "Open connections to targets: busy with a call, or kept for the next one.",
    _one("state", "busy", "idle"),
)
STORE_COMMITS = _TABLE.counter(
    "outrider_store_commits_total",
    "Commits of the store by whether they succeeded.",
    _one("result", "ok", "failed"),
)
STORE_COMMIT_DURATION = _TABLE.histogram(
    "outrider_store_commit_duration_seconds",
    "Time of one commit with all its units of work, waiting for other processes included.",
    buckets=_SECONDS,
)
STORE_COMMIT_BATCH_SIZE = _TABLE.histogram(
    "outrider_store_commit_batch_size", "Units of work that shared one commit.", buckets=_COUNTS
)
DELIVERIES_CLAIMED = _TABLE.counter(
    "outrider_deliveries_claimed_total", "Deliveries that workers took to attempt them."
)
CLAIM_BATCH_SIZE = _TABLE.histogram(
    "outrider_claim_batch_size",
    "Deliveries taken at once; polls without any are not counted.",
    buckets=_COUNTS,
)
DELIVERIES = _TABLE.gauge(
    "outrider_deliveries",
    "Deliveries in the log of the whole store, all instances; read at most every five seconds.",
    _one("state", *STATES),
)
OLDEST_OPEN = _TABLE.gauge(
    "outrider_oldest_open_delivery_age_seconds",
    "Age of the oldest delivery that is not settled; 0 when there is none.",
)
TARGETS_SUSPENDED = _TABLE.gauge(
    "outrider_targets_suspended",
    "Targets that are not called now: paused, or their breaker is open.",
    _one("reason", "paused", "breaker_open"),
)
TARGET_QUEUES = _TABLE.gauge(
    "outrider_target_queues", "Targets whose deliveries have a queue of their own."
)
STATS_AGE = _TABLE.gauge(
    "outrider_store_stats_age_seconds", "How old the numbers about the whole store are."
)
ROUTING_REVISION = _TABLE.gauge(
    "outrider_routing_revision", "The store's revision that the API routes by."
)
ROUTING_AGE = _TABLE.gauge(
    "outrider_routing_age_seconds", "Time since the API last compared its routes with the store."
)
PROCESSES = _TABLE.gauge("outrider_processes", "Processes that run.", _ROLE)
PROCESS_CPU = _TABLE.counter(
    "outrider_process_cpu_seconds_total", "Processor time, user and system.", _ROLE
)
PROCESS_MEMORY = _TABLE.gauge(
    "outrider_process_resident_memory_bytes",
    "Resident memory; what processes share is counted in each.",
    _ROLE,
)
START_TIME = _TABLE.gauge(
    "outrider_process_start_time_seconds", "When the API's process started, since 1970."
)
BUILD_INFO = _TABLE.gauge("outrider_build_info", "Always 1; the release is its label.", _VERSION)

DECLARED: Mapping[str, Metric] = _TABLE.declared
"""Every metric by its name, in the order in which they are shown."""
