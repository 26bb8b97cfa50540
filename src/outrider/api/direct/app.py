"""Plain calls answered past the protocol library: bytes to a command, use case, bytes.

Which calls those are `bootstrap` says. A call is plain when it is a POST of `application/json` of a
known length without anything that asks for more: no deadline, browser's origin or
CloudEvents attributes. Everything else, and every body that is not plain, goes the general way,
body included; so does a caller that is not let in. Permissions, rules, errors, metrics and the line
in the log are the same on both ways.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectrpc._protocol import ConnectWireError
from connectrpc.codec import proto_json_codec
from connectrpc.errors import ConnectError
from protobuf import DescMethod

from outrider.api.asgi.error_details import with_readable_details
from outrider.api.asgi.gzip import Gzip
from outrider.api.asgi.limits import REQUEST_BYTES
from outrider.api.asgi.types import (
    DISCONNECT_POLL_S,
    OK,
    App,
    DisconnectedError,
    Message,
    Receive,
    Scope,
    Send,
    send_response,
)
from outrider.api.direct.call import DirectCall
from outrider.api.direct.plain_json import HandOver
from outrider.api.rest.app import rest_error
from outrider.api.rest.routes import routes_of
from outrider.api.rpc.codecs import JsonCodec
from outrider.api.rpc.error_mapping import INTERCEPTION_ID
from outrider.api.rpc.interceptors import (
    Authenticate,
    CallReporter,
    permission_of,
    procedure_of,
)
from outrider.api.rpc.json_text import JsonForm, came_as
from outrider.api.rpc.protocol_errors import JSON
from outrider.api.rpc.status_codes import HTTP_STATUS
from outrider.domain.access.permission import Actor, require
from outrider.errors import OutriderError

# Headers with which a call asks for something that only the general way does.
_UNUSUAL = frozenset(
    {
        b"origin",
        b"transfer-encoding",
        b"connect-timeout-ms",
        b"grpc-timeout",
        b"outrider-hops",
        b"expect",
    }
)
_CLOUD_EVENT = b"ce-"
_MAX_LENGTH_DIGITS = len(str(REQUEST_BYTES))


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """The headers of a plain call, and the length of its body."""

    headers: Mapping[str, Sequence[str]]
    length: int
    is_packed: bool = False

    def get(self, name: str, /) -> str | None:
        """The first value of a header."""
        values = self.headers.get(name)
        return values[0] if values else None

    def getall(self, name: str, /) -> Sequence[str]:
        """Every value of a header."""
        return self.headers.get(name, ())


def plain_request(scope: Scope) -> PlainRequest | None:
    """Return what is needed of a plain request; None: it is not plain."""
    if scope["method"] != "POST" or scope.get("query_string"):
        return None
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _UNUSUAL or name.startswith(_CLOUD_EVENT) or not value.isascii():
            return None
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("ascii"))
    version = headers.get("connect-protocol-version", ["1"])
    if headers.get("content-type") != ["application/json"] or version != ["1"]:
        return None
    (length, *others) = headers.get("content-length", [""])
    if others or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        return None
    encoding = headers.get("content-encoding", ["identity"])
    size = int(length)
    if encoding not in (["identity"], ["gzip"]) or not 0 < size <= REQUEST_BYTES:
        return None
    return PlainRequest(headers, size, is_packed=encoding == ["gzip"])


async def unpacked(body: bytes) -> bytes:
    """Return what is in a body of gzip. Raise `HandOver` when it cannot be unpacked, or is too large."""
    try:
        text = Gzip().decompress(body, REQUEST_BYTES)
    except (ConnectError, zlib.error, EOFError):
        raise HandOver from None
    # It may have taken milliseconds: other calls have the event loop before it is read.
    await asyncio.sleep(0)
    return text


class Recorder:
    """A `receive` that gives what was read of the body again, and then what comes next."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def body(self, length: int) -> bytes:
        """Return the body. Raise `HandOver` when it has another length, or when the caller left."""
        size = 0
        while size < length:
            message = await self._receive()
            self._read.append(message)
            size += len(message.get("body", b""))
            if message["type"] != "http.request" or (
                size < length and not message.get("more_body", False)
            ):
                raise HandOver
        if size > length:
            raise HandOver
        return b"".join([message["body"] for message in self._read])

    async def __call__(self) -> Message:
        """Give the next message."""
        return self._read.pop(0) if self._read else await self._receive()

    def forget(self) -> None:
        """Drop what was read: a run may take minutes, and a body 4 MiB."""
        self._read.clear()

    async def disconnected(self) -> None:
        """Return when the caller has left. The body was read, and is not needed any more."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def paths_of(method: DescMethod) -> list[str]:
    """The paths that lead to a procedure: its own, and those of REST."""
    procedure = procedure_of(method)
    routes = [route for route in routes_of(method.parent) if route.procedure == procedure]
    return [procedure, *("/" + "/".join(route.segments) for route in routes)]


class DirectCalls:
    """Answers the plain ones of some calls; `otherwise` answers all others."""

    def __init__(
        self,
        calls: Sequence[DirectCall[Any]],
        authenticate: Authenticate,
        reporter: CallReporter,
        *,
        otherwise: App,
    ) -> None:
        self._calls = {path: call for call in calls for path in paths_of(call.method)}
        self._permissions = {call.method: permission_of(call.method) for call in calls}
        self._authenticate = authenticate
        self._reporter = reporter
        self._codec = JsonCodec(proto_json_codec(), reporter.errors)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or leave it to `otherwise`."""
        call = self._calls.get(scope["path"])
        request = None if call is None else plain_request(scope)
        if call is None or request is None:
            await self._otherwise(scope, receive, send)
            return
        started_at = time.perf_counter()
        recorder = Recorder(receive)
        try:
            actor = await self._admitted(call, request)
            command = await _read(call, request, recorder)
        except HandOver:
            await self._otherwise(scope, recorder, send)
            return
        recorder.forget()
        run = self._run(call, actor, command, request, started_at)
        response = await (_until_disconnect(run, recorder) if call.is_watched else run)
        await response.send(send, is_rest=scope["path"] != procedure_of(call.method))

    async def _admitted(self, call: DirectCall[Any], request: PlainRequest) -> Actor:
        """Return who calls. Raise `HandOver` for a caller who may not: the general way says why."""
        authorization = request.get("authorization")
        if authorization is None:
            raise HandOver
        try:
            actor = await self._authenticate(request.get("host") or "", authorization)
            require(actor, self._permissions[call.method])
        except OutriderError:
            raise HandOver from None
        return actor

    async def _run(
        self,
        call: DirectCall[Any],
        actor: Actor,
        command: Any,
        request: PlainRequest,
        started_at: float,
    ) -> DirectResponse:
        service, method = call.method.parent.type_name, call.method.name
        ongoing = self._reporter.begin(service, method, request, started_at)
        came_as(JsonForm.OBJECT)
        failure: Exception | None = None
        body, headers = b"", dict[str, str]()
        try:
            answer = await call.run(actor, command)
            body, headers = self._codec.encode(answer.message), dict(answer.headers)
        except asyncio.CancelledError:
            self._reporter.end(ongoing, procedure_of(call.method), actor, DisconnectedError())
            raise
        except Exception as error:  # noqa: BLE001 - the reporter knows all of them
            failure = error
        shown = self._reporter.end(ongoing, procedure_of(call.method), actor, failure)
        if isinstance(failure, OutriderError) and failure.interception_id:
            headers = {INTERCEPTION_ID: failure.interception_id}
        return DirectResponse(body, headers, shown)


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """The answer to a call: a body, or an error."""

    body: bytes
    headers: Mapping[str, str]
    error: ConnectError | None

    async def send(self, send: Send, *, is_rest: bool) -> None:
        """Send it, an error in the shape of REST or of Connect."""
        headers = [JSON, *((name.encode(), value.encode()) for name, value in self.headers.items())]
        if self.error is None:
            await send_response(send, OK, headers, self.body)
            return
        error = ConnectWireError.from_exception(self.error).to_json_bytes()
        body = with_readable_details(error)
        status = HTTP_STATUS[self.error.code]
        await send_response(send, status, headers, rest_error(body) if is_rest else body)


async def _read(call: DirectCall[Any], request: PlainRequest, recorder: Recorder) -> Any:
    body = await recorder.body(request.length)
    return await call.read(await unpacked(body) if request.is_packed else body)


async def _until_disconnect(
    run: Coroutine[Any, Any, DirectResponse], recorder: Recorder
) -> DirectResponse:
    """Wait for a run, and cancel it when its caller leaves.

    Nothing watches the caller of a run that is quick. Raise `DisconnectedError`.
    """
    task = asyncio.ensure_future(run)
    try:
        await asyncio.wait({task}, timeout=DISCONNECT_POLL_S)
        if not task.done():
            watch = asyncio.ensure_future(recorder.disconnected())
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise DisconnectedError
    finally:
        task.cancel()
    return task.result()
