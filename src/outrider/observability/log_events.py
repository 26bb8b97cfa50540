"""Every event of our log, declared: when it is written, its level and its fields.

The documentation is made from this, and a test reads the code: an event or a field that is not
declared here fails it. Every line also has `timestamp`, `level` and `process`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIELDS: Mapping[str, str] = {
    "account": "Id of the caller's account; null while the caller is not known.",
    "activity": "The event that its failures have.",
    "attempt": "Number of the attempt, from 1.",
    "code": '`ok`, or the error as Connect names it, such as "not_found".',
    "deliveries": "How many deliveries.",
    "delivery": "Id of the delivery.",
    "duplicate": "Whether the event was known.",
    "error": "What went wrong, in a sentence; empty when nothing did.",
    "event_id": "Id of the event.",
    "events": "How many events.",
    "exc_info": "The exception; in JSON its text is in `exception`: one line when a dependency is down, else a traceback.",
    "execution": "Id of the execution.",
    "failures": "How often it has failed since it last succeeded.",
    "in_flight": "How many calls were under way.",
    "instance": "Id of the instance.",
    "interception_id": "Id of the run of targets, as in the error's detail and the response header"
    " `outrider-interception-id`.",
    "issuer": "URL of the issuer.",
    "method": "`/package.Service/Method`; for `http.answered` the HTTP method.",
    "ms": "Milliseconds.",
    "names": "Names of variables of the environment.",
    "note": "A sentence for operators.",
    "outcome": "How the call of a target ended, in lower case.",
    "owner": "Name of the worker's lease.",
    "path": "Path of the request, its first 200 characters.",
    "reason": "Why, in a sentence.",
    "reference": "What the caller was told to refer to.",
    "source": "Name of the relay's source.",
    "span": "Id of the span: for a call of a target ours, which the receiver sees in `traceparent`;"
    " for a call of the API the caller's, with OpenTelemetry ours.",
    "stage": "How far the call got: build, resolve, guard, proxy, connect, tls, send or answer.",
    "status": "HTTP status; 0 when there was no answer.",
    "target": "Id of the target.",
    "text": "A sentence for operators.",
    "trace": "Id of the trace, when there is one.",
}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of line. `help` says when it is written; `level` is its level, or its levels."""

    event: str
    level: str
    help: str
    fields: tuple[str, ...] = ()


LOG_EVENTS: tuple[LogEvent, ...] = (
    LogEvent(
        "rpc.answered",
        "info",
        "A call of a service was answered, on any wire: one line for each.",
        ("method", "code", "ms", "instance", "account", "trace", "span"),
    ),
    LogEvent(
        "http.answered",
        "info",
        "Any other request was answered: one line for each, but for probes.",
        ("method", "path", "status", "ms"),
    ),
    LogEvent(
        "rpc.failed",
        "error",
        "A call failed by a fault of ours.",
        ("method", "reference", "exc_info"),
    ),
    LogEvent(
        "delivery.attempted",
        "info; debug when accepted and `log_attempts` is `failed`",
        "An attempt ended, or was found to be LOST: one line for each.",
        (
            *("delivery", "instance", "target", "attempt", "outcome", "stage", "status", "ms"),
            *("error", "trace", "span"),
        ),
    ),
    LogEvent(
        "interception.called",
        "info; debug when accepted",
        "A target was called while a caller waited.",
        (
            *("interception_id", "instance", "execution", "target", "outcome", "ms", "error"),
            *("trace", "span"),
        ),
    ),
    LogEvent(
        "schema.rejected",
        "warning",
        "Answers cannot be checked against the schema that the catalogue has for a method.",
        ("instance", "method", "error"),
    ),
    LogEvent(
        "delivery.rescued",
        "warning",
        "Attempts of dead workers are LOST: how many were found at a time.",
        ("deliveries",),
    ),
    LogEvent(
        "delivery.internal_error",
        "error",
        "An attempt failed by a fault of ours.",
        ("delivery", "stage", "exc_info"),
    ),
    LogEvent(
        "interception.internal_error", "error", "A call of a target failed by a fault of ours."
    ),
    LogEvent(
        "interception.enqueue_failed",
        "error",
        "A delivery of a `restAsync` target was not stored.",
        ("execution", "reason"),
    ),
    LogEvent(
        "retention.deleted",
        "info",
        "Deliveries and events past their retention were deleted.",
        ("deliveries", "events"),
    ),
    LogEvent(
        "cleaner.failed",
        "error",
        "Rolling up counts or deleting what has expired failed; it is tried again.",
        ("reason", "failures"),
    ),
    LogEvent(
        "rescuer.failed",
        "error",
        "Looking for dead workers failed; it is tried again.",
        ("reason", "failures"),
    ),
    LogEvent(
        "clock.moved_backwards",
        "warning",
        "The clock was set back: nothing waits for the time before.",
    ),
    LogEvent(
        "worker.poll_failed",
        "error",
        "The store failed a worker; it is tried again.",
        ("owner", "reason", "failures"),
    ),
    LogEvent(
        "worker.shutdown_failed",
        "error",
        "The store failed a worker that stops.",
        ("owner", "reason", "failures"),
    ),
    LogEvent(
        "store.recovered",
        "info",
        "What the store had failed succeeds again.",
        ("activity", "failures"),
    ),
    LogEvent("worker.not_started", "error", "A worker of a server cannot start.", ("reason",)),
    LogEvent("worker.notice", "debug", "A worker tells the operator something.", ("text",)),
    LogEvent(
        "routing.refresh_failed",
        "error",
        "Routes are as they were; it is tried again.",
        ("reason", "failures"),
    ),
    LogEvent("readiness.failed", "error", "The check behind `/readyz` broke.", ("exc_info",)),
    LogEvent("token.issued", "info", "`/oauth/v2/token` gave a token.", ("account",)),
    LogEvent("token.refused", "info", "It gave none.", ("error", "reason")),
    LogEvent(
        "oidc.fetch_failed",
        "warning",
        "Keys of another issuer could not be read.",
        ("issuer", "reason"),
    ),
    LogEvent(
        "relay.accepted",
        "info",
        "An event of a source is stored.",
        ("source", "event_id", "deliveries", "duplicate"),
    ),
    LogEvent("relay.refused", "info", "A source's request was refused.", ("source", "reason")),
    LogEvent("relay.unsigned", "info", "A source's request was not signed.", ("source", "reason")),
    LogEvent(
        "relay.fetch_failed",
        "warning",
        "Keys of a source could not be read.",
        ("issuer", "reason"),
    ),
    LogEvent(
        "settings.ignored",
        "debug",
        "Variables of the environment are Kubernetes' own, of a Service, and no settings.",
        ("names",),
    ),
    LogEvent(
        "data_directory.exposed",
        "warning",
        "Every account of the machine may read a file of the data directory, or replace it.",
        ("note",),
    ),
    LogEvent("engine.waiting", "info", "An engine waits for its data directory.", ("note",)),
    LogEvent("engine.prepared", "info", "An engine made what was missing.", ("note",)),
    LogEvent(
        "engine.shutdown_timeout",
        "warning",
        "An engine closed while it was called.",
        ("in_flight",),
    ),
)
