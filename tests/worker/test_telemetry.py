"""What an attempt leaves besides its row: headers of a trace, one log event, numbers, spans."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from outrider.bootstrap.http_client import REQUEST_BUILDER
from outrider.domain.calls.request import Response
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.trace import parse_trace
from outrider.domain.targets.policy import DEFAULT_POLICY
from outrider.observability import metrics
from outrider.observability.collectors import DeliveryCollector
from outrider.observability.otel import OtelTracing
from outrider.observability.shared_metrics import memory_metrics
from outrider.usecases.calls.target_client import TargetClient
from outrider.worker.attempts import AttemptRunner
from support.builders import a_claimed_delivery, a_target
from support.runtime import NOW
from worker.harness import OK, SCHEDULE, Harness

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = f"00-{TRACE_ID}-00f067aa0ba902b7-01 a=1"
TARGET = a_target()
REFUSED = Response(400, (), b"no")


def runner(harness: Harness, **parts) -> AttemptRunner:
    target_client = TargetClient(REQUEST_BUILDER, harness.client, harness.log)
    return AttemptRunner(harness.runtime, target_client, SCHEDULE, harness.log, **parts)


def traced(**changes):
    return replace(a_claimed_delivery(), trace=TRACE, **changes)


async def attempt(made: AttemptRunner, claimed) -> None:
    await made.attempt(claimed, ResolvedTarget(TARGET, DEFAULT_POLICY))


def sent(harness: Harness) -> list[dict[str, str]]:
    return [
        {name: value for name, value in call.headers if name.startswith("trace")}
        for call in harness.client.calls
    ]


def attempt_events(harness: Harness) -> list[tuple[str, dict]]:
    return [
        (level, fields)
        for level, event, fields in harness.log.kept
        if event == "delivery.attempted"
    ]


@pytest.fixture
def harness() -> Harness:
    return Harness(None)


async def test_each_attempt_is_its_own_span_in_the_trace_of_the_publish(harness: Harness):
    """
    The trace shows every try, and the log has the same identifiers.
    """
    harness.client.script(TARGET.endpoint, REFUSED, OK)
    made = runner(harness, accepted_level="info")
    await attempt(made, traced())
    await attempt(made, traced(attempt_number=2))
    first, second = (
        parse_trace(headers["traceparent"], headers["tracestate"]) for headers in sent(harness)
    )

    assert (TRACE_ID, TRACE_ID) == (first.trace_id, second.trace_id)
    assert (1, "a=1") == (first.flags, first.state)
    assert 3 == len({"00f067aa0ba902b7", first.span_id, second.span_id})
    assert [(TRACE_ID, first.span_id), (TRACE_ID, second.span_id)] == [
        (fields["trace"], fields["span"]) for _, fields in attempt_events(harness)
    ]


async def test_without_a_trace_none_begins(harness: Harness):
    """
    No system would show it.
    """
    await attempt(runner(harness), a_claimed_delivery())

    assert [{}] == sent(harness)
    assert "trace" not in attempt_events(harness)[0][1]


@pytest.mark.parametrize(
    ("accepted", "response", "level"),
    [
        ("debug", OK, "debug"),
        ("debug", REFUSED, "info"),
        ("info", OK, "info"),
        (None, REFUSED, "info"),
    ],
)
async def test_an_attempt_leaves_one_log_event(
    harness: Harness, response: Response, level: str, accepted
):
    """
    With everything that a search needs, and nothing of what was sent.
    """
    harness.client.script(TARGET.endpoint, response)
    await attempt(runner(harness, accepted_level=accepted), a_claimed_delivery())
    [(found, fields)] = attempt_events(harness)

    assert (level, "1", "101", 1) == (
        found,
        fields["delivery"],
        fields["target"],
        fields["attempt"],
    )
    assert fields["ms"] >= 0
    json.dumps(fields)


async def test_an_attempt_is_counted_with_its_delay_and_what_became_of_it(harness: Harness):
    """
    The three numbers that tell whether deliveries are in time.
    """
    shared_metrics = memory_metrics()
    harness.client.script(TARGET.endpoint, REFUSED)
    made = runner(harness, metrics=DeliveryCollector(shared_metrics))
    await attempt(made, replace(a_claimed_delivery(), due_at=NOW - timedelta(seconds=2)))
    await attempt(made, replace(a_claimed_delivery(), due_at=NOW + timedelta(seconds=2)))

    def number(metric, *values, offset=0):
        return shared_metrics.numbers[shared_metrics.offsets[metric.name, values] + offset]

    assert (1, 1) == tuple(number(metrics.ATTEMPTS, label) for label in ("refused", "accepted"))
    assert (1, 1) == tuple(
        number(metrics.DELIVERY_TRANSITIONS, label) for label in ("retrying", "delivered")
    )
    delays = metrics.ATTEMPT_DELAY.buckets
    assert 1 == number(metrics.ATTEMPT_DELAY, offset=delays.index(2.5))
    assert 1 == number(metrics.ATTEMPT_DELAY)
    assert 2 == number(metrics.ATTEMPT_DELAY, offset=len(delays) + 1)


async def test_opentelemetry_gets_a_span_for_each_attempt(harness: Harness):
    """
    Below the publish; the receiver's spans are below it in turn. Nothing of the payload is in it.
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    harness.client.script(TARGET.endpoint, REFUSED, OK)
    made = runner(harness, tracing=OtelTracing(provider.get_tracer("test")))
    await attempt(made, traced(body=b'{"secret":1}'))
    await attempt(made, a_claimed_delivery())
    failed, rooted = exporter.get_finished_spans()
    first, second = (parse_trace(headers["traceparent"]) for headers in sent(harness))

    assert ("deliver event", SpanKind.CONSUMER) == (failed.name, failed.kind)
    assert (TRACE_ID, "00f067aa0ba902b7") == (
        f"{failed.context.trace_id:032x}",
        f"{failed.parent.span_id:016x}",
    )
    assert f"{failed.context.span_id:016x}" == first.span_id
    assert (StatusCode.ERROR, "refused") == (failed.status.status_code, failed.status.description)
    assert (None, StatusCode.UNSET) == (rooted.parent, rooted.status.status_code)
    assert f"{rooted.context.trace_id:032x}" == second.trace_id
    assert {
        "messaging.operation.name",
        "outrider.delivery.id",
        "outrider.target.id",
        "outrider.attempt",
        "outrider.outcome",
    } == set(failed.attributes)


async def test_an_accepted_attempt_may_leave_no_log_event(harness: Harness):
    """
    A log event costs as much as the delivery, and the delivery log has it in any case.
    """
    await attempt(runner(harness, accepted_level=None), a_claimed_delivery())

    assert [] == harness.log.kept
