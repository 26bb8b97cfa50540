"""gRPC server reflection: the served services, described by the descriptors that serve them.

Both published versions, `grpc.reflection.v1` and `v1alpha`: the same messages under two names.
https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

from connectrpc.code import Code
from protobuf import DescFile, DescMessage, DescService, Oneof

from outrider.api.asgi.shutdown import until_shutdown
from outrider.api.rpc.error_mapping import ERROR_MESSAGES
from outrider.api.rpc.interceptors import Authenticate, Context
from outrider.api.rpc.service import Service, serve
from outrider.api.rpc.status_codes import GRPC_STATUS
from outrider.api.rpc.telemetry import NO_TELEMETRY, Telemetry
from outrider.errors import InvalidRequest
from outrider.usecases.ports.log import Log
from outrider_api.grpc.reflection.v1 import reflection_connect as v1
from outrider_api.grpc.reflection.v1 import reflection_pb as v1_pb
from outrider_api.grpc.reflection.v1alpha import reflection_connect as v1alpha
from outrider_api.grpc.reflection.v1alpha import reflection_pb as v1alpha_pb


class DescriptorIndex:
    """Services and messages with the files that describe them, and whatever those import."""

    def __init__(
        self, services: Iterable[DescService], messages: Iterable[DescMessage] = ()
    ) -> None:
        descriptors = list(services)
        self.services: Sequence[str] = sorted(service.type_name for service in descriptors)
        roots = [service.file for service in descriptors] + [message.file for message in messages]
        self._files = {file.name: file for root in roots for file in with_imports(root)}
        self._symbols = {name: file for file in self._files.values() for name in symbols_of(file)}
        self._extensions = {
            (extension.extendee.type_name, extension.number): file
            for file in self._files.values()
            for extension in file.extensions
        }

    def file(self, name: str) -> DescFile | None:
        """A file by its name, such as `outrider/v1/event_service.proto`."""
        return self._files.get(name)

    def file_of(self, symbol: str) -> DescFile | None:
        """The file that declares a service, method, message, enum or extension."""
        return self._symbols.get(symbol)

    def file_of_extension(self, extendee: str, number: int) -> DescFile | None:
        """The file that declares an extension of a message."""
        return self._extensions.get((extendee, number))

    def extension_numbers(self, extendee: str) -> Sequence[int] | None:
        """Numbers of a message's extensions, ascending; None when there is no such message."""
        if extendee not in self._symbols:
            return None
        return sorted(number for name, number in self._extensions if name == extendee)


def with_imports(file: DescFile) -> Iterator[DescFile]:
    """The file, and every file that it needs, once."""
    seen: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop(0)
        if current.name not in seen:
            seen.add(current.name)
            waiting += current.dependencies
            yield current


def symbols_of(file: DescFile) -> Iterator[str]:
    """Full names of what a file declares."""
    for service in file.services:
        yield service.type_name
        yield from (f"{service.type_name}.{method.name}" for method in service.methods)
    for message in file.messages:
        yield from symbols_in(message)
    yield from (enum.type_name for enum in file.enums)
    yield from (extension.type_name for extension in file.extensions)


def symbols_in(message: DescMessage) -> Iterator[str]:
    """The name of a message, and of what is declared in it."""
    yield message.type_name
    yield from (enum.type_name for enum in message.nested_enums)
    for inner in message.nested_messages:
        yield from symbols_in(inner)


class ReflectionStream:
    """The responses of one stream: what a file imports is sent once."""

    def __init__(self, index: DescriptorIndex, pb: Any) -> None:
        self._index = index
        self._pb = pb
        self._sent: set[str] = set()
        self._answers: dict[str, Callable[[Any], Any]] = {
            "file_by_filename": lambda name: self._files(index.file(name)),
            "file_containing_symbol": lambda name: self._files(index.file_of(name)),
            "file_containing_extension": lambda extension: self._files(
                index.file_of_extension(extension.containing_type, extension.extension_number)
            ),
            "all_extension_numbers_of_type": self._extension_numbers,
            "list_services": self._services,
        }

    def response_to(self, request: Any) -> Any:
        """The response to one request. Raise `InvalidRequest` when it asks nothing."""
        question = request.message_request
        if question is None:
            raise InvalidRequest(
                "invalid ServerReflectionRequest.MessageRequest: value is required",
                hint="set one of its questions, such as list_services",
            )
        answer = self._answers[question.field](question.value)
        return self._pb.ServerReflectionResponse(
            valid_host=request.host, original_request=request, message_response=answer
        )

    def _files(self, file: DescFile | None) -> Any:
        if file is None:
            return self._not_found()
        first, *imports = with_imports(file)
        unsent = [first, *(imported for imported in imports if imported.name not in self._sent)]
        self._sent |= {sent.name for sent in unsent}
        files = [sent.proto.to_binary() for sent in unsent]
        response = self._pb.FileDescriptorResponse(file_descriptor_proto=files)
        return Oneof("file_descriptor_response", response)

    def _extension_numbers(self, extendee: str) -> Any:
        numbers = self._index.extension_numbers(extendee)
        if numbers is None:
            return self._not_found()
        response = self._pb.ExtensionNumberResponse(
            base_type_name=extendee, extension_number=numbers
        )
        return Oneof("all_extension_numbers_response", response)

    def _services(self, _ignored: str) -> Any:
        services = [self._pb.ServiceResponse(name=name) for name in self._index.services]
        return Oneof("list_services_response", self._pb.ListServiceResponse(service=services))

    def _not_found(self) -> Any:
        error = self._pb.ErrorResponse(
            error_code=GRPC_STATUS[Code.NOT_FOUND], error_message="not found"
        )
        return Oneof("error_response", error)


class ReflectionHandlers:
    """`ServerReflection` of either version; `pb` has its messages."""

    def __init__(self, index: DescriptorIndex, pb: Any, stopping: asyncio.Event) -> None:
        self._index = index
        self._pb = pb
        self._stopping = stopping

    async def server_reflection_info(
        self, requests: AsyncIterator[Any], _ctx: Context, /
    ) -> AsyncIterator[Any]:
        """One response for each request, as it comes."""
        stream = ReflectionStream(self._index, self._pb)
        async for request in until_shutdown(self._stopping, requests):
            yield stream.response_to(request)


def reflection(
    services: Iterable[Service],
    authenticate: Authenticate,
    log: Log,
    stopping: asyncio.Event,
    *,
    telemetry: Telemetry = NO_TELEMETRY,
) -> list[Service]:
    """Reflection about these services, their errors and itself, in both versions, until `stopping`."""
    versions: tuple[tuple[Any, Any, Any], ...] = (
        (v1.ServerReflectionASGIApplication, v1.ServerReflection, v1_pb),
        (v1alpha.ServerReflectionASGIApplication, v1alpha.ServerReflection, v1alpha_pb),
    )
    own = [service.desc() for _, service, _ in versions]
    # No service imports what errors are made of: tools ask for it when they have one.
    index = DescriptorIndex(
        [*(service.descriptor for service in services), *own], messages=ERROR_MESSAGES
    )
    return [
        serve(
            app,
            ReflectionHandlers(index, pb, stopping),
            service.desc(),
            authenticate,
            log,
            telemetry=telemetry,
        )
        for app, service, pb in versions
    ]
