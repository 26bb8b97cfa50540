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
        """Return whether only the counting process knows some values. Zeros are not shown then."""
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
    "Answered API calls on every protocol, by result code.",
    _PROCEDURE,
    _one("code", *CODES),
)
RPC_DURATION = _TABLE.histogram(
    "outrider_rpc_duration_seconds",
    "Time from the headers of an API call to its response.",
    _PROCEDURE,
    buckets=_SECONDS,
)
EVENTS_PUBLISHED = _TABLE.counter(
    "outrider_events_published_total",
    "Published events. `stored` is a new event; `duplicate` is an event that was stored before.",
    _one("result", "stored", "duplicate"),
)
PUBLISHES_REFUSED = _TABLE.counter(
    "outrider_publishes_refused_total",
    "Rejected publish calls. `conflict`: the event id belongs to an event with different content."
    " `hops`: the event passed through too many outrider servers.",
    _one("reason", *REFUSED_PUBLISH_REASONS),
)
DELIVERIES_CREATED = _TABLE.counter(
    "outrider_deliveries_created_total", "Deliveries that were created for published events."
)
ATTEMPTS = _TABLE.counter(
    "outrider_delivery_attempts_total",
    "Delivery attempts by outcome. The rescuer counts `lost` attempts when it finds them.",
    _OUTCOME,
)
ATTEMPT_DURATION = _TABLE.histogram(
    "outrider_attempt_duration_seconds",
    "Time of one attempt, from building the request to the last byte of the response.",
    buckets=_SECONDS,
)
ATTEMPT_DELAY = _TABLE.histogram(
    "outrider_attempt_delay_seconds",
    "Time from the due time of a delivery to the start of its attempt. It includes the time that the"
    " limits of the target add.",
    buckets=_DELAYS,
)
DELIVERY_TRANSITIONS = _TABLE.counter(
    "outrider_delivery_transitions_total",
    "Recorded attempts by the state of their delivery after the attempt.",
    _one("state", *TRANSITION_STATES),
)
INTERCEPTIONS = _TABLE.counter(
    "outrider_interceptions_total",
    "Intercepted requests, responses and functions by result.",
    _one("kind", *INTERCEPTION_KINDS),
    _one("result", *INTERCEPTION_RESULTS),
)
INTERCEPTION_CALLS = _TABLE.counter(
    "outrider_interception_calls_total",
    "Calls to targets in interceptions, by outcome.",
    _OUTCOME,
)
INTERCEPTION_CALL_DURATION = _TABLE.histogram(
    "outrider_interception_call_duration_seconds",
    "Time of one call to a target in an interception.",
    buckets=_SECONDS,
)
CALLS_IN_FLIGHT = _TABLE.gauge(
    "outrider_calls_in_flight", "Calls to targets that are in progress.", _one("kind", *CALL_KINDS)
)
EGRESS_CONNECTIONS = _TABLE.gauge(
    "outrider_egress_connections",
    "Open connections to targets. A `busy` connection carries a call; an `idle` one waits for the next.",
    _one("state", "busy", "idle"),
)
STORE_COMMITS = _TABLE.counter(
    "outrider_store_commits_total",
    "Commits of the store by result.",
    _one("result", "ok", "failed"),
)
STORE_COMMIT_DURATION = _TABLE.histogram(
    "outrider_store_commit_duration_seconds",
    "Time of one commit with all its units of work, including the wait for other processes.",
    buckets=_SECONDS,
)
STORE_COMMIT_BATCH_SIZE = _TABLE.histogram(
    "outrider_store_commit_batch_size", "Units of work that shared one commit.", buckets=_COUNTS
)
DELIVERIES_CLAIMED = _TABLE.counter(
    "outrider_deliveries_claimed_total", "Deliveries that workers claimed."
)
CLAIM_BATCH_SIZE = _TABLE.histogram(
    "outrider_claim_batch_size",
    "Deliveries in one claim. Polls that claim nothing are not counted.",
    buckets=_COUNTS,
)
DELIVERIES = _TABLE.gauge(
    "outrider_deliveries",
    "Deliveries of all instances in the delivery log, by state. Read at most every five seconds.",
    _one("state", *STATES),
)
OLDEST_OPEN = _TABLE.gauge(
    "outrider_oldest_open_delivery_age_seconds",
    "Age of the oldest open delivery; 0 if no delivery is open.",
)
TARGETS_SUSPENDED = _TABLE.gauge(
    "outrider_targets_suspended",
    "Suspended targets: an operator or a 410 response paused the target, or its circuit breaker is open.",
    _one("reason", "paused", "breaker_open"),
)
TARGET_QUEUES = _TABLE.gauge("outrider_target_queues", "Targets that have a target queue.")
STATS_AGE = _TABLE.gauge(
    "outrider_store_stats_age_seconds", "Age of the metrics that are read from the store."
)
ROUTING_REVISION = _TABLE.gauge(
    "outrider_routing_revision", "Revision of the store that the routing table of the API has."
)
ROUTING_AGE = _TABLE.gauge(
    "outrider_routing_age_seconds",
    "Time since the API last compared its routing table with the store.",
)
PROCESSES = _TABLE.gauge("outrider_processes", "Running processes.", _ROLE)
PROCESS_CPU = _TABLE.counter(
    "outrider_process_cpu_seconds_total", "Processor time, user and system.", _ROLE
)
PROCESS_MEMORY = _TABLE.gauge(
    "outrider_process_resident_memory_bytes",
    "Resident memory. Shared memory is counted in each process.",
    _ROLE,
)
START_TIME = _TABLE.gauge(
    "outrider_process_start_time_seconds", "Start time of the API process, in seconds since 1970."
)
BUILD_INFO = _TABLE.gauge("outrider_build_info", "Always 1. The label has the release.", _VERSION)

DECLARED: Mapping[str, Metric] = _TABLE.declared
"""Every metric by its name, in the order in which they are shown."""
