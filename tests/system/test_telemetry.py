"""Numbers and traces of a real server: over its processes, and over the network on both sides."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from outrider.testing.receiver import Answer, Receiver
from system.processes import children_of, command_line
from system.server import Server

EVENT = "user.human.added"
METHOD = "/zitadel.session.v2.SessionService/ListSessions"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", "tracestate": "a=1"}
WITHIN_S = 20.0


async def send(server: Server, path: str, body: object = None, **headers: str) -> str:
    """One request with the admin token; its body as JSON unless the headers name another type."""

    def blocking() -> str:
        data = None if body is None else json.dumps(body).encode()
        default = {"authorization": f"Bearer {server.token}", "content-type": "application/json"}
        request = urllib.request.Request(server.url + path, data, {**default, **headers})
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(blocking)


async def number(server: Server, name: str, *labels: str) -> float:
    """One sample of what is shown now."""
    text = await send(server, "/metrics")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }[name, *labels]


async def reaches(server: Server, expected: float, name: str, *labels: str) -> None:
    """Ask until it shows this."""
    found = None
    try:
        async with asyncio.timeout(WITHIN_S):
            while (found := await number(server, name, *labels)) != expected:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"{name} is {found} instead of {expected}") from None


async def bind(server: Server, receiver: Receiver) -> str:
    """Deliver events to the receiver, and ask it about requests."""
    hook = await server.api.create_target("hook", receiver.url)
    await server.api.set_execution(EVENT, hook.id)
    call = await server.api.create_target("call", receiver.url, kind="restCall")
    body = {"condition": {"request": {"method": METHOD}}, "targets": [call.id]}
    await server.api.post("/v2/actions/executions", body, method="PUT")
    return hook.id


def workers_of(server: Server) -> list[int]:
    return [child for child in children_of(server.pid) if "worker_process" in command_line(child)]


async def test_one_page_shows_every_process_and_a_killed_worker_takes_nothing_with_it(launch):
    """
    `rate()` must not see a crash as a thousand deliveries, or as none.
    """
    async with Receiver() as receiver:
        server = await launch("--workers", "2").ready()
        await bind(server, receiver)
        await server.api.publish(EVENT, ["1", "2", "3"])
        await server.api.settled()
        await reaches(server, 3, "outrider_delivery_attempts_total", "accepted")
        await reaches(server, 2, "outrider_processes", "worker")
        for pid in workers_of(server):
            os.kill(pid, signal.SIGKILL)
        await reaches(server, 2, "outrider_processes", "worker")
        await server.api.publish(EVENT, ["4"])
        await server.api.settled()
        await reaches(server, 4, "outrider_delivery_attempts_total", "accepted")

    calls = ("outrider.v1.EventService", "PublishEvents", "ok")
    assert 2 == await number(server, "outrider_rpc_requests_total", *calls)
    assert 1 == await number(server, "outrider_processes", "api")
    assert 4 == await number(server, "outrider_delivery_transitions_total", "delivered")


async def test_a_trace_goes_from_the_publisher_to_the_receiver(launch):
    """
    Over REST, as CloudEvents and for interceptions; later attempts are in it, too.
    """
    fails_once = [Answer(status=500)]
    async with Receiver(fails_once) as receiver:
        server = await launch(environ={"OUTRIDER_LOG_ATTEMPTS": "all"}).ready()
        hook = await bind(server, receiver)
        policy = {"policy": {"retry": {"waits": ["0.05s"]}}}
        await server.api.post(f"/v1/targets/{hook}/policy", policy, method="PUT")
        await send(server, "/v1/events", {"events": [{"id": "1", "eventType": EVENT}]}, **TRACE)
        await server.api.settled()
        cloud_event = {"specversion": "1.0", "id": "2", "source": "s", "type": EVENT}
        kind = {"content-type": "application/cloudevents+json"}
        await send(server, "/v1/events", cloud_event, **{**TRACE, **kind})
        await server.api.settled()
        call = {"fullMethod": METHOD, "request": {}}
        await send(server, "/v1/intercept/request", call, **TRACE)
        await send(server, "/v1/intercept/request", call)
        calls = receiver.calls
    *traced, untraced = calls
    parents = [call.header("traceparent").split("-") for call in traced]

    assert 5 == len(calls)
    assert [TRACE_ID] * 4 == [trace for _, trace, _, _ in parents]
    assert 5 == len({span for _, _, span, _ in parents} | {"00f067aa0ba902b7"})
    assert ["a=1"] * 4 == [call.header("tracestate") for call in traced]
    assert "traceparent" not in {name.lower() for name, _ in untraced.headers}
    attempted = [line for line in server.log if line["event"] == "delivery.attempted"]
    assert [span for _, _, span, _ in parents[:3]] == [line["span"] for line in attempted]
    answered = [line for line in server.log if line["event"] == "rpc.answered" and "trace" in line]
    assert [TRACE_ID] * 3 == [line["trace"] for line in answered]


def spans_of(calls) -> dict[str, tuple[str, str, str]]:
    """What a collector got: span id to name, trace and parent."""
    found = {}
    for call in calls:
        body = gzip.decompress(call.body) if call.header("content-encoding") else call.body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    parent = span.parent_span_id.hex()
                    found[span.span_id.hex()] = (span.name, span.trace_id.hex(), parent)
    return found


async def test_spans_reach_a_collector(launch):
    """
    With OpenTelemetry's own variables and nothing else: from the API's process and from the worker.
    """
    async with Receiver() as collector, Receiver() as receiver:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        server = await launch(environ=environ).ready()
        await bind(server, receiver)
        await server.api.publish(EVENT, ["1"])
        [call] = await receiver.wait_for(1)
        _, trace, span, flags = call.header("traceparent").split("-")
        async with asyncio.timeout(WITHIN_S):
            while span not in (spans := spans_of(collector.calls)):
                await asyncio.sleep(0.05)

    name, found_trace, parent = spans[span]
    publish = "outrider.v1.EventService/PublishEvents"
    assert ("deliver event", trace, "01") == (name, found_trace, flags)
    assert (publish, trace, "") == spans[parent]
    assert {"/v1/traces"} == {export.path for export in collector.calls}
