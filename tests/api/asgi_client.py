"""Calls a procedure over any wire, in-process or at a real address.

client = ApiClient(in_process(app))
client = ApiClient(over_http("http://127.0.0.1:8080"))
result = await client.call(Wire.REST, ActionService.desc(), "GetTarget", request,
                           GetTargetResponse, {"authorization": "Bearer ..."})
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from protobuf import DescService, Message

from api.wires import (
    HttpRequest,
    HttpResponse,
    Result,
    Wire,
    grpc_failure,
    method_named,
    request_of,
    result_of,
)

M = TypeVar("M", bound=Message)
Exchange = Callable[[HttpRequest], Awaitable[HttpResponse]]

# How long a call may take before the test fails because it hangs.
SECONDS = 20


class ApiClient:
    """One caller. `exchange` carries HTTP; `grpc_target` is where real gRPC goes, if anywhere."""

    def __init__(self, exchange: Exchange, grpc_target: str | None = None) -> None:
        self.exchange = exchange
        self._grpc_target = grpc_target

    async def call(  # noqa: PLR0917 - in the order in which a call is made
        self,
        wire: Wire,
        service: DescService,
        method: str,
        request: Message,
        response_type: type[M],
        headers: Mapping[str, str] | None = None,
    ) -> Result[M]:
        """Calls the procedure and reads the answer, whatever it is."""
        procedure = method_named(service, method)
        made = request_of(wire, procedure, request)
        sent = HttpRequest(made.method, made.path, {**made.headers, **(headers or {})}, made.body)
        if wire is Wire.GRPC and self._grpc_target is not None:
            return await grpc_call(self._grpc_target, sent, request, response_type)
        return result_of(wire, await self.exchange(sent), response_type)


def in_process(app: Any, *, trailers: bool = True) -> Exchange:
    """Carries requests to an ASGI application; `trailers` is whether the server can send them."""

    async def exchange(request: HttpRequest) -> HttpResponse:
        connection = Connection(request, trailers=trailers)
        async with asyncio.timeout(SECONDS):
            await app(connection.scope, connection.receive, connection.send)
        return connection.response()

    return exchange


class Connection:
    """One ASGI request and what the application sends back."""

    def __init__(self, request: HttpRequest, *, trailers: bool) -> None:
        path, _, query = request.path.partition("?")
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2" if trailers else "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode("latin-1"),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": [
                (k.lower().encode(), v.encode("latin-1")) for k, v in self._headers(request)
            ],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 80),
            "extensions": {"http.response.trailers": {}} if trailers else {},
        }
        self._body = request.body
        self._read = False
        self._start: dict[str, Any] = {}
        self._chunks: list[bytes] = []
        self._trailers: list[tuple[bytes, bytes]] = []

    @staticmethod
    def _headers(request: HttpRequest) -> list[tuple[str, str]]:
        given = list(request.headers.items())
        if "host" not in request.headers:
            given.insert(0, ("host", "outrider.test"))
        if request.body and "content-length" not in request.headers:
            given.append(("content-length", str(len(request.body))))
        return given

    async def receive(self) -> dict[str, Any]:
        """The whole body; then nothing happens until the call is cancelled."""
        if self._read:
            await asyncio.Event().wait()
        self._read = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        """Keeps the answer, and checks the order of the messages."""
        match message["type"]:
            case "http.response.start":
                assert not self._start, "the response was started twice"
                self._start = message
            case "http.response.body":
                assert self._start, "a body came before the start"
                self._chunks.append(message.get("body", b""))
            case "http.response.trailers":
                assert self._start.get("trailers"), "trailers were not announced"
                self._trailers.extend(message["headers"])

    def response(self) -> HttpResponse:
        """The complete answer."""
        return HttpResponse(
            self._start["status"],
            as_text(self._start.get("headers", [])),
            b"".join(self._chunks),
            as_text(self._trailers),
        )


def as_text(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name in lower case, repeated ones joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        text = value.decode("latin-1")
        lower = name.decode("latin-1").lower()
        found[lower] = f"{found[lower]}, {text}" if lower in found else text
    return found


def over_http(base_url: str) -> Exchange:
    """Carries requests over HTTP/1.1, each on its own connection."""
    address = urlsplit(base_url)

    def blocking(request: HttpRequest) -> HttpResponse:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, SECONDS)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            headers = [(k.encode(), v.encode("latin-1")) for k, v in answer.getheaders()]
            return HttpResponse(answer.status, as_text(headers), answer.read())
        finally:
            connection.close()

    async def exchange(request: HttpRequest) -> HttpResponse:
        return await asyncio.to_thread(blocking, request)

    return exchange


def at(base_url: str) -> ApiClient:
    """A caller of a real server: HTTP/1.1 for all wires but gRPC, which grpcio speaks."""
    return ApiClient(over_http(base_url), urlsplit(base_url).netloc)


async def grpc_call(
    target: str, sent: HttpRequest, request: Message, response_type: type[M]
) -> Result[M]:
    """A call by a third-party client."""
    import grpc

    # grpcio writes these two itself; a timeout is always in milliseconds here.
    own = ("content-type", "grpc-timeout")
    metadata = [(k, v) for k, v in sent.headers.items() if k not in own]
    timeout = int(sent.headers.get("grpc-timeout", f"{SECONDS * 1000}m")[:-1]) / 1000
    async with grpc.aio.insecure_channel(target) as channel:
        call = channel.unary_unary(
            sent.path,
            request_serializer=lambda message: message.to_binary(),
            response_deserializer=response_type.from_binary,
        )
        try:
            return Result(await call(request, metadata=metadata, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            code = error.code().name.lower().replace("cancelled", "canceled")
            packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            return grpc_failure(code, error.details() or "", as_base64(packed), EMPTY)


EMPTY = HttpResponse(200, {}, b"")


def as_base64(packed: bytes | str) -> str:
    """grpcio decodes binary metadata; the reader wants what was on the wire."""
    from base64 import b64encode

    return packed if isinstance(packed, str) else b64encode(packed).decode().rstrip("=")
