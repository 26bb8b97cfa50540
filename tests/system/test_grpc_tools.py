"""Google's clients of reflection and health: what grpcurl, probes and balancers do."""

from __future__ import annotations

import asyncio
import http.client
import json
import queue
import struct
from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from system.server import Server

WITHIN_S = 20.0
WATCH = "/grpc.health.v1.Health/Watch"
V1 = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """HTTP/2 with prior knowledge, on the same port as everything else."""
    host, port = server.address
    with grpc.insecure_channel(f"{host}:{port}") as connected:
        yield connected


def test_a_client_without_proto_files_makes_a_call(server: Server, channel: grpc.Channel):
    """
    Everything that it knows of the messages came from the server.
    """
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName("zitadel.action.v2.ActionService").FindMethodByName(
        "ListTargets"
    )
    request, response = map(
        message_factory.GetMessageClass, (method.input_type, method.output_type)
    )
    call = channel.unary_unary(
        "/zitadel.action.v2.ActionService/ListTargets",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    answer = call(
        request(), timeout=WITHIN_S, metadata=[("authorization", f"Bearer {server.token}")]
    )

    assert 100 == answer.pagination.applied_limit


def test_services_are_listed_in_the_older_version(channel: grpc.Channel):
    """
    Many tools ask for v1alpha first.
    """
    listed = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "outrider.v1.EventService",
        "zitadel.action.v2.ActionService",
    } <= listed


def test_a_stream_is_a_conversation(channel: grpc.Channel):
    """
    A tool reads one answer before it asks the next question, on one stream.
    """
    call = channel.stream_stream(
        V1,
        # Both versions are the same on the wire.
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions: queue.SimpleQueue[object] = queue.SimpleQueue()
    answers = call(iter(questions.get, None), timeout=WITHIN_S)
    questions.put(reflection_pb2.ServerReflectionRequest(list_services=""))
    name = next(answers).list_services_response.service[0].name
    questions.put(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
    files = next(answers).file_descriptor_response.file_descriptor_proto
    questions.put(None)

    assert "grpc.health.v1.Health" == name
    assert b"grpc/health/v1/health.proto" in files[0]
    assert [] == list(answers)


def test_a_probe_without_a_token_learns_that_it_serves(channel: grpc.Channel):
    """
    Kubernetes probes over gRPC have none.
    """
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "zitadel.action.v2.ActionService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=WITHIN_S)
        assert health_pb2.HealthCheckResponse.SERVING == answer.status


def test_a_probe_for_an_unknown_service_is_told(channel: grpc.Channel):
    """
    It must not be taken for a server that is down.
    """
    health = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="a.v1.B"), timeout=WITHIN_S)

    assert grpc.StatusCode.NOT_FOUND is caught.value.code()


def test_a_watcher_is_told_immediately_and_may_leave(server: Server, channel: grpc.Channel):
    """
    A call that never ends must not stay behind when its caller is gone.
    """
    health = health_pb2_grpc.HealthStub(channel)
    watching = health.Watch(health_pb2.HealthCheckRequest(), timeout=WITHIN_S)

    assert health_pb2.HealthCheckResponse.SERVING == next(watching).status
    watching.cancel()
    ended = asyncio.run(server.logged.line(lambda line: WATCH in line, within=WITHIN_S / 2))
    assert "canceled" == json.loads(ended)["code"]


def test_a_watcher_of_an_unknown_service_stays_connected(channel: grpc.Channel):
    """
    It may be served after the next release: the call stays open.
    """
    health = health_pb2_grpc.HealthStub(channel)
    watching = health.Watch(health_pb2.HealthCheckRequest(service="a.v1.B"), timeout=WITHIN_S)

    assert health_pb2.HealthCheckResponse.SERVICE_UNKNOWN == next(watching).status
    assert watching.is_active()
    watching.cancel()


def test_reflection_needs_a_question(channel: grpc.Channel):
    """
    The error ends the stream with a code and a text.
    """
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest()]), timeout=WITHIN_S
    )
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)

    assert grpc.StatusCode.INVALID_ARGUMENT is caught.value.code()
    assert "MessageRequest" in caught.value.details()


def test_a_browser_can_watch_over_connect(server: Server):
    """
    Connect streams over HTTP/1.1: every message is there as soon as it is sent.
    """
    message = json.dumps({"service": "outrider.v1.EventService"}).encode()
    connection = http.client.HTTPConnection(*server.address, timeout=WITHIN_S)
    with closing(connection):
        headers = {"Content-Type": "application/connect+json"}
        connection.request("POST", WATCH, struct.pack(">BI", 0, len(message)) + message, headers)
        answer = connection.getresponse()
        flags, length = struct.unpack(">BI", answer.read(5))
        status = json.loads(answer.read(length))

    assert (200, 0) == (answer.status, flags)
    assert {"status": "SERVING"} == status
