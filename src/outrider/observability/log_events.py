"""Every event of our log, declared: when it is written, its level and its fields.

The documentation is made from this, and a test reads the code: an event or a field that is not
declared here fails it. Every line also has `timestamp`, `level` and `process`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIELDS: Mapping[str, str] = {
    "account": "Id of the caller's account; null before the caller is authenticated.",
    "activity": "Log event that reported the failures.",
    "attempt": "Number of the attempt, from 1.",
    "code": "`ok`, or the Connect error code, such as `not_found`.",
    "deliveries": "Number of deliveries.",
    "delivery": "Id of the delivery.",
    "duplicate": "Whether the event was stored before.",
    "error": "The error message; empty without an error.",
    "event_id": "Id of the event.",
    "events": "Number of events.",
    "exc_info": "The exception. In JSON its text is in `exception`: one line if a dependency is down, else a"
    " traceback.",
    "execution": "Id of the execution.",
    "failures": "Number of failures since the last success.",
    "in_flight": "Number of calls in progress.",
    "instance": "Id of the instance.",
    "interception_id": "Id of the interception. The error detail and the response header"
    " `outrider-interception-id` have the same id.",
    "issuer": "URL of the issuer.",
    "method": "`/package.Service/Method`; in `http.answered` the HTTP method.",
    "ms": "Duration in milliseconds.",
    "names": "Names of environment variables.",
    "note": "A sentence for operators.",
    "outcome": "Outcome of the call to the target, in lower case.",
    "owner": "Name of the worker's lease.",
    "path": "First 200 characters of the request path.",
    "reason": "The reason as text.",
    "reference": "Reference that the error response gave to the caller.",
    "source": "Name of the relay source.",
    "span": "Id of the span. For a call to a target it is the span of the call, which the receiver reads in"
    " `traceparent`. For an API call it is the caller's span, or outrider's span with OpenTelemetry.",
    "stage": "The last stage of the call: build, resolve, guard, proxy, connect, tls, send or answer.",
    "status": "HTTP status; 0 without a response.",
    "target": "Id of the target.",
    "text": "A sentence for operators.",
    "trace": "Id of the trace, if the call has one.",
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
        "The server answered an API call, on any protocol. One line per call.",
        ("method", "code", "ms", "instance", "account", "trace", "span"),
    ),
    LogEvent(
        "http.answered",
        "info",
        "The server answered any other HTTP request. One line per request, except for health probes.",
        ("method", "path", "status", "ms"),
    ),
    LogEvent(
        "rpc.failed",
        "error",
        "An API call failed because of a bug in outrider.",
        ("method", "reference", "exc_info"),
    ),
    LogEvent(
        "delivery.attempted",
        "info; debug when accepted and `log_attempts` is `failed`",
        "An attempt ended, or the rescuer recorded it as LOST. One line per attempt.",
        (
            *("delivery", "instance", "target", "attempt", "outcome", "stage", "status", "ms"),
            *("error", "trace", "span"),
        ),
    ),
    LogEvent(
        "interception.called",
        "info; debug when accepted",
        "An interception called a target.",
        (
            *("interception_id", "instance", "execution", "target", "outcome", "ms", "error"),
            *("trace", "span"),
        ),
    ),
    LogEvent(
        "schema.rejected",
        "warning",
        "The schema of a method in the catalogue cannot be used to check responses.",
        ("instance", "method", "error"),
    ),
    LogEvent(
        "delivery.rescued",
        "warning",
        "The rescuer found attempts of dead workers and recorded them as LOST.",
        ("deliveries",),
    ),
    LogEvent(
        "delivery.internal_error",
        "error",
        "An attempt failed because of a bug in outrider.",
        ("delivery", "stage", "exc_info"),
    ),
    LogEvent(
        "interception.internal_error",
        "error",
        "A call to a target failed because of a bug in outrider.",
    ),
    LogEvent(
        "interception.enqueue_failed",
        "error",
        "An interception could not store the delivery for a `restAsync` target.",
        ("execution", "reason"),
    ),
    LogEvent(
        "retention.deleted",
        "info",
        "The cleaner deleted deliveries and events after their retention period.",
        ("deliveries", "events"),
    ),
    LogEvent(
        "cleaner.failed",
        "error",
        "The cleaner could not roll up counts or delete expired rows. It retries.",
        ("reason", "failures"),
    ),
    LogEvent(
        "rescuer.failed",
        "error",
        "The rescuer could not look for dead workers. It retries.",
        ("reason", "failures"),
    ),
    LogEvent(
        "clock.moved_backwards",
        "warning",
        "The clock moved backwards. outrider makes first attempts due, and restarts limits and breakers.",
    ),
    LogEvent(
        "worker.poll_failed",
        "error",
        "A poll of a worker failed because of the store. The worker retries.",
        ("owner", "reason", "failures"),
    ),
    LogEvent(
        "worker.shutdown_failed",
        "error",
        "A stopping worker could not record its state because of the store.",
        ("owner", "reason", "failures"),
    ),
    LogEvent(
        "store.recovered",
        "info",
        "An activity that failed because of the store succeeds again.",
        ("activity", "failures"),
    ),
    LogEvent(
        "worker.not_started", "error", "A worker process of a server cannot start.", ("reason",)
    ),
    LogEvent("worker.notice", "debug", "A message from a worker to the operator.", ("text",)),
    LogEvent(
        "routing.refresh_failed",
        "error",
        "The routing table could not be refreshed. outrider keeps the former routes and retries.",
        ("reason", "failures"),
    ),
    LogEvent(
        "readiness.failed", "error", "The check of `/readyz` raised an exception.", ("exc_info",)
    ),
    LogEvent("token.issued", "info", "`/oauth/v2/token` issued an access token.", ("account",)),
    LogEvent("token.refused", "info", "`/oauth/v2/token` rejected a request.", ("error", "reason")),
    LogEvent(
        "oidc.fetch_failed",
        "warning",
        "The server could not read the keys of an external issuer.",
        ("issuer", "reason"),
    ),
    LogEvent(
        "relay.accepted",
        "info",
        "The relay stored an event of a source, or found it stored before.",
        ("source", "event_id", "deliveries", "duplicate"),
    ),
    LogEvent(
        "relay.refused",
        "info",
        "The relay rejected a signed request of a source.",
        ("source", "reason"),
    ),
    LogEvent(
        "relay.unsigned",
        "info",
        "The relay rejected a request that the source did not sign.",
        ("source", "reason"),
    ),
    LogEvent(
        "relay.fetch_failed",
        "warning",
        "The relay could not read the keys of a source.",
        ("issuer", "reason"),
    ),
    LogEvent(
        "settings.ignored",
        "debug",
        "The process ignored environment variables that Kubernetes sets for a Service.",
        ("names",),
    ),
    LogEvent(
        "data_directory.exposed",
        "warning",
        "Every account of the machine can read or replace a file in the data directory.",
        ("note",),
    ),
    LogEvent("engine.waiting", "info", "An engine waits for its data directory.", ("note",)),
    LogEvent("engine.prepared", "info", "An engine created missing files.", ("note",)),
    LogEvent(
        "engine.shutdown_timeout",
        "warning",
        "An engine closed before its calls ended.",
        ("in_flight",),
    ),
)
