"""Reflection and health on the wires that have streams, as any client may call them."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from connectrpc_grpcreflect._gen.grpc.reflection.v1 import reflection_pb as v1
from connectrpc_grpcreflect._gen.grpc.reflection.v1alpha import reflection_pb as v1alpha
from google.protobuf import descriptor_pb2, descriptor_pool
from protobuf import Oneof

from api.calls.service import Service, running
from api.contract import METHODS
from api.sample import Lines
from api.wires import GRPC_CODES, HttpRequest, Wire, frames_of
from outrider.api.asgi.shutdown import Shutdown, until_shutdown
from outrider.api.endpoints.grpc_health import HealthHandlers
from outrider.api.endpoints.health import Readiness
from outrider.api.rpc.interceptors import PUBLIC, permission_of
from outrider.errors import Unavailable
from outrider_api.grpc.health.v1 import health_pb
from outrider_api.grpc.health.v1.health_connect import Health

STREAMS = ("application/grpc", "application/grpc-web", "application/connect+proto")
INFO = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
EVENTS = "outrider/v1/event_service.proto"
OPTIONS = "google.protobuf.MethodOptions"
END_OF_STREAM = 0x82
versions = pytest.mark.parametrize("pb", [v1, v1alpha], ids=["v1", "v1alpha"])
Status = health_pb.HealthCheckResponse.ServingStatus


@pytest.fixture
async def service(tmp_path: Path):
    """The API as it is wired."""
    async with running(tmp_path) as opened:
        yield opened


def asked(pb, **question):
    """A request with one question, or none."""
    chosen = Oneof(*question.popitem()) if question else None
    return pb.ServerReflectionRequest(host="me", message_request=chosen)


async def stream(service: Service, path: str, content_type: str, *requests):
    """The frames of the answer to all requests together, and the response."""
    bodies = [request.to_binary() for request in requests]
    body = b"".join(struct.pack(">BI", 0, len(data)) + data for data in bodies)
    request = HttpRequest("POST", path, {"content-type": content_type}, body)
    response = await service.client.exchange(request)
    messages = [data for flags, data in frames_of(response.body) if not flags & END_OF_STREAM]
    return messages, response


async def answers(service: Service, pb, *requests):
    """What reflection answers over gRPC."""
    path = INFO.format("v1" if pb is v1 else "v1alpha")
    messages, response = await stream(service, path, "application/grpc", *requests)
    assert "0" == response.trailers["grpc-status"]
    return [pb.ServerReflectionResponse.from_binary(message) for message in messages]


async def files(service: Service, pb, **question):
    """The names of the files that a question is answered with."""
    (answer,) = await answers(service, pb, asked(pb, **question))
    assert "file_descriptor_response" == answer.message_response.field
    found = answer.message_response.value.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(data).name for data in found]


@pytest.mark.parametrize("content_type", STREAMS)
async def test_every_service_is_listed_on_every_wire_without_a_token(
    service: Service, content_type: str
):
    """
    A tool without proto files begins here, and has no token yet.
    """
    messages, _ = await stream(
        service, INFO.format("v1"), content_type, asked(v1, list_services="")
    )
    (answer,) = [v1.ServerReflectionResponse.from_binary(message) for message in messages]
    listed = [service.name for service in answer.message_response.value.service]

    assert sorted(listed) == listed
    assert {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "outrider.v1.CatalogueService",
        "zitadel.action.v2.ActionService",
        "zitadel.action.v2beta.ActionService",
    } <= set(listed)


@versions
async def test_what_is_told_makes_every_service(service: Service, pb):
    """
    Descriptors that lack an import, or are responses in the wrong shape, are of no use.
    """
    (answer,) = await answers(service, pb, asked(pb, list_services=""))
    names = [service.name for service in answer.message_response.value.service]
    responses = await answers(
        service, pb, *(asked(pb, file_containing_symbol=name) for name in names)
    )
    waiting = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for answer in responses
        for data in answer.message_response.value.file_descriptor_proto
    ]
    found = {file.name: file for file in waiting}
    pool = descriptor_pool.DescriptorPool()

    def add(name):
        file = found.pop(name, None)
        if file is not None:
            for imported in file.dependency:
                add(imported)
            pool.Add(file)

    for name in list(found):
        add(name)

    assert names == [pool.FindServiceByName(name).full_name for name in names]


@versions
async def test_a_file_comes_first_and_its_imports_behind_it(service: Service, pb):
    """
    By its name, by anything in it, and by an extension.
    """
    of_events = await files(service, pb, file_by_filename=EVENTS)
    extension = pb.ExtensionRequest(containing_type=OPTIONS, extension_number=50301)

    assert EVENTS == of_events[0]
    assert {"outrider/options/v1/options.proto", "google/protobuf/struct.proto"} <= set(of_events)
    for symbol in (
        "outrider.v1.EventService",
        "outrider.v1.EventService.PublishEvents",
        "outrider.v1.Event",
    ):
        assert of_events == await files(service, pb, file_containing_symbol=symbol)
    for symbol, file in (
        ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
        ("outrider.v1.CatalogueKind", "outrider/v1/catalogue_service.proto"),
        ("outrider.options.v1.permission", "outrider/options/v1/options.proto"),
    ):
        assert file == (await files(service, pb, file_containing_symbol=symbol))[0]
    by_extension = await files(service, pb, file_containing_extension=extension)
    assert "outrider/options/v1/options.proto" == by_extension[0]


@versions
async def test_extensions_are_told_by_their_numbers(service: Service, pb):
    """
    Tools print options by them. The protocol leaves their order open.
    """
    responses = await answers(
        service,
        pb,
        asked(pb, all_extension_numbers_of_type=OPTIONS),
        asked(pb, all_extension_numbers_of_type="outrider.v1.Event"),
    )
    numbers = [answer.message_response.value for answer in responses]

    assert [OPTIONS, "outrider.v1.Event"] == [number.base_type_name for number in numbers]
    assert [[50301, 72295728], []] == [sorted(number.extension_number) for number in numbers]


@versions
async def test_what_does_not_exist_is_told_and_the_stream_continues(service: Service, pb):
    """
    A tool that guesses names asks the next one on the same stream.
    """
    extension = pb.ExtensionRequest(containing_type=OPTIONS, extension_number=1)
    requests = [
        asked(pb, file_by_filename="outrider/v1/nothing.proto"),
        asked(pb, file_containing_symbol="outrider.v1.Nothing"),
        asked(pb, file_containing_extension=extension),
        asked(pb, all_extension_numbers_of_type="outrider.v1.Nothing"),
        asked(pb, list_services=""),
    ]
    responses = await answers(service, pb, *requests)

    assert ["error_response"] * 4 == [answer.message_response.field for answer in responses[:4]]
    assert {5} == {answer.message_response.value.error_code for answer in responses[:4]}
    assert "list_services_response" == responses[4].message_response.field
    assert requests == [answer.original_request for answer in responses]
    assert {"me"} == {answer.valid_host for answer in responses}


async def test_imports_are_sent_once_in_a_stream(service: Service):
    """
    Every file of ours needs the same ones: a tool that asks for all gets each of them once.
    """
    question = asked(v1, file_by_filename=EVENTS)
    first, second = await answers(service, v1, question, question)

    assert 1 < len(first.message_response.value.file_descriptor_proto)
    assert 1 == len(second.message_response.value.file_descriptor_proto)


async def test_a_request_without_a_question_ends_the_stream(service: Service):
    """
    As an error of the caller.
    """
    messages, response = await stream(service, INFO.format("v1"), "application/grpc", asked(v1))

    assert [] == messages
    assert "invalid_argument" == GRPC_CODES[int(response.trailers["grpc-status"])]


@pytest.mark.parametrize("content_type", ["application/json", "application/proto"])
async def test_a_stream_needs_a_content_type_of_streams(service: Service, content_type: str):
    """
    The answer says which ones there are.
    """
    _, response = await stream(service, INFO.format("v1"), content_type, asked(v1))

    assert 415 == response.status
    assert "application/connect+proto" in response.headers["accept-post"]


def test_nothing_else_is_public():
    """
    Every other call needs a token: one word in a proto file must not open it unseen.
    """
    assert [] == [method.name for method in METHODS if permission_of(method) == PUBLIC]


UNARY = [wire for wire in Wire if wire is not Wire.REST]


async def health(service: Service, wire: Wire, name: str, headers=None):
    """A health check."""
    request = health_pb.HealthCheckRequest(service=name)
    kind = health_pb.HealthCheckResponse
    return await service.client.call(wire, Health.desc(), "Check", request, kind, headers)


@pytest.mark.parametrize("wire", UNARY, ids=str)
@pytest.mark.parametrize("name", ["", "zitadel.action.v2.ActionService", "grpc.health.v1.Health"])
async def test_what_can_serve_says_so(service: Service, wire: Wire, name: str):
    """
    Probes come without a token, and a wrong token is ignored here.
    """
    for headers in (None, {"authorization": "Bearer wrong"}):
        result = await health(service, wire, name, headers)
        assert health_pb.HealthCheckResponse(status=Status.SERVING) == result.message


@pytest.mark.parametrize("wire", UNARY, ids=str)
async def test_the_health_of_a_service_that_is_not_served_is_not_found(
    service: Service, wire: Wire
):
    """
    A probe with a misspelt name must not be content.
    """
    result = await health(service, wire, "outrider.v1.Nothing")

    assert ("not_found", "unknown service") == (result.code, result.text)


async def test_the_health_of_everything_is_listed(service: Service):
    """
    One call instead of ten.
    """
    kind = health_pb.HealthListResponse
    result = await service.client.call(
        Wire.GRPC, Health.desc(), "List", health_pb.HealthListRequest(), kind
    )

    assert {"", "grpc.health.v1.Health", "outrider.v1.EventService"} <= set(result.message.statuses)
    assert {Status.SERVING} == {status.status for status in result.message.statuses.values()}


async def test_who_watches_sees_every_change():
    """
    A balancer takes a server out when it cannot serve, and back when it can.
    """
    reasons = iter([None, None, "the disk is full", "the disk is full", None])
    asked_all = asyncio.Event()

    async def ready():
        for reason in reasons:
            return reason
        asked_all.set()
        return None

    handlers = HealthHandlers(Readiness(ready, Lines()), [], poll_every_s=0)
    seen = []

    async def watch():
        async for response in handlers.watch(health_pb.HealthCheckRequest(), None):
            seen.append(response.status)  # noqa: PERF401 - it is cancelled, and what was seen counts

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(10):
        await asked_all.wait()
    watching.cancel()

    assert [Status.SERVING, Status.NOT_SERVING, Status.SERVING] == seen


async def test_who_watches_is_told_again_from_time_to_time():
    """
    Whatever stands in between cuts a stream on which nothing is said.
    """

    async def ready():
        return None

    handlers = HealthHandlers(Readiness(ready, Lines()), [], poll_every_s=0, repeat_every_s=0)
    watching = handlers.watch(health_pb.HealthCheckRequest(), None)
    async with asyncio.timeout(10):
        seen = [(await anext(watching)).status for _ in range(3)]
    await watching.aclose()

    assert [Status.SERVING] * 3 == seen


async def test_who_watches_is_sent_away_when_the_server_stops():
    """
    A balancer takes it out immediately, and the stop does not wait for a call that never ends.
    """
    shutdown = Shutdown()

    async def ready():
        return "the server is stopping" if shutdown.announced.is_set() else None

    handlers = HealthHandlers(Readiness(ready, Lines()), [], shutdown=shutdown)
    watching = handlers.watch(health_pb.HealthCheckRequest(), None)
    async with asyncio.timeout(10):
        seen = [(await anext(watching)).status]
        shutdown.announce()
        seen.append((await anext(watching)).status)
        shutdown.begin()
        with pytest.raises(Unavailable, match="the server is stopping"):
            await anext(watching)

    assert [Status.SERVING, Status.NOT_SERVING] == seen


async def test_a_conversation_continues_until_the_server_stops():
    """
    An idle tool would hold up the stop; what it had asked before is answered.
    """
    questions: asyncio.Queue[str] = asyncio.Queue()
    stopping = asyncio.Event()

    async def asked():
        while True:
            yield await questions.get()

    messages = until_shutdown(stopping, asked())
    async with asyncio.timeout(10):
        questions.put_nowait("one")
        assert "one" == await anext(messages)
        following = asyncio.create_task(anext(messages))
        stopping.set()
        with pytest.raises(Unavailable, match="the server is stopping"):
            await following


async def test_a_conversation_that_its_caller_ends_has_no_error():
    """
    Nor does a caller that leaves in the middle leave anything behind.
    """

    async def asked():
        yield "one"
        yield "two"

    assert ["one", "two"] == [message async for message in until_shutdown(asyncio.Event(), asked())]
    questions = asked()
    begun = until_shutdown(asyncio.Event(), questions)
    assert "one" == await anext(begun)
    await begun.aclose()
    await questions.aclose()
    await asyncio.sleep(0)
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_what_cannot_serve_says_so():
    """
    The reason is for `/readyz`; a check has no field for it.
    """

    async def broken():
        raise ZeroDivisionError

    handlers = HealthHandlers(Readiness(broken, Lines()), [])
    response = await handlers.check(health_pb.HealthCheckRequest(), None)

    assert Status.NOT_SERVING == response.status
