"""A tool without proto files can read every error: reflection has the types that are in them."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_asyncio
from connectrpc_grpcreflect._gen.grpc.reflection.v1 import reflection_pb as v1
from connectrpc_grpcreflect._gen.grpc.reflection.v1alpha import reflection_pb as v1alpha
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from api.access.tenants import METHODS
from api.calls.service import Service, running
from api.calls.table import Caller
from api.endpoints.test_reflection import answers, asked
from api.wires import HttpRequest
from outrider.api.rpc.error_mapping import ERROR_MESSAGES
from outrider_api.google.rpc.status_pb import Status
from outrider_api.outrider.v1.interception_service_pb import InterceptRequestRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")
versions = pytest.mark.parametrize("pb", [v1, v1alpha], ids=["v1", "v1alpha"])

STATUS = "google.rpc.Status"
GUARDED = "/acme.v1.Shop/Create"
INTERCEPT = "/outrider.v1.InterceptionService/InterceptRequest"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory) -> AsyncIterator[Service]:
    """With a method that a target always interrupts."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        entry = {"kind": "CATALOGUE_KIND_METHOD", "name": GUARDED}
        await opened.ask("AddEntries", {"entries": [entry]})
        guard = {
            "name": "guard",
            "endpoint": f"{opened.receiver}/503/",
            "restCall": {"interruptOnError": True},
            "timeout": "10s",
        }
        target = (await opened.ask("CreateTarget", guard))["id"]
        condition = {"request": {"method": GUARDED}}
        await opened.ask("SetExecution", {"condition": condition, "targets": [target]})
        yield opened


async def status_of(
    service: Service, path: str, request: bytes = b"", caller: Caller = Caller.ADMIN
) -> Status:
    """What a call over gRPC ends with."""
    headers = {"content-type": "application/grpc", **service.headers[caller]}
    body = struct.pack(">BI", 0, len(request)) + request
    response = await service.client.exchange(HttpRequest("POST", path, headers, body))
    ends = response.trailers if "grpc-status" in response.trailers else response.headers
    return Status.from_binary(b64decode(ends.get("grpc-status-details-bin", "") + "==="))


async def every_status(service: Service) -> list[Status]:
    """Of every call without a field, by the admin and without a token, and of one that is interrupted."""
    interrupted = InterceptRequestRequest(full_method=GUARDED).to_binary()
    unary = [method for method in METHODS if method.method_kind == "unary"]
    return [
        await status_of(service, INTERCEPT, interrupted),
        *[
            await status_of(service, f"/{method.parent.type_name}/{method.name}", caller=caller)
            for method in unary
            for caller in (Caller.ADMIN, Caller.NOBODY)
        ],
    ]


async def reflected_pool(
    service: Service, pb: object, symbols: Iterable[str]
) -> descriptor_pool.DescriptorPool:
    """What a tool builds from the answers about these symbols, and nothing else."""
    questions = [asked(pb, file_containing_symbol=symbol) for symbol in symbols]
    found = {
        file.name: file
        for answer in await answers(service, pb, *questions)
        for data in answer.message_response.value.file_descriptor_proto
        for file in [descriptor_pb2.FileDescriptorProto.FromString(data)]
    }
    pool = descriptor_pool.DescriptorPool()

    def add(name: str) -> None:
        file = found.pop(name, None)
        if file is not None:
            for imported in file.dependency:
                add(imported)
            pool.Add(file)

    for name in list(found):
        add(name)
    return pool


@versions
async def test_every_detail_that_is_sent_can_be_read(service, pb):
    """
    grpcurl prints the bytes of a detail whose type it does not find.
    """
    statuses = [status for status in await every_status(service) if status.details]
    types = {detail.type_url.rpartition("/")[2] for status in statuses for detail in status.details}
    pool = await reflected_pool(service, pb, [STATUS, *sorted(types)])
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(STATUS))
    read = [
        detail_of(pool, detail)
        for status in statuses
        for detail in kind.FromString(status.to_binary()).details
    ]

    assert {
        "zitadel.v1.ErrorDetail",
        "outrider.v1.InterruptDetail",
        "outrider.v1.ReasonDetail",
    } == types
    assert {"EXEC-dra6yamk98", "AUTH-5mWD2"} & {detail.id for detail in read if has_id(detail)}
    assert any(detail.target_id for detail in read if not has_id(detail))


def detail_of(pool, packed):
    """The message in an `Any`, by the descriptor that reflection gave."""
    name = packed.type_url.rpartition("/")[2]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name)).FromString(
        packed.value
    )


def has_id(detail) -> bool:
    return detail.DESCRIPTOR.full_name == "zitadel.v1.ErrorDetail"


@versions
async def test_every_type_that_an_error_may_have_is_served(service, pb):
    """
    Also one that no call of this test is answered with.
    """
    names = [message.type_name for message in ERROR_MESSAGES]
    pool = await reflected_pool(service, pb, names)

    assert STATUS in names
    assert names == [pool.FindMessageTypeByName(name).full_name for name in names]
