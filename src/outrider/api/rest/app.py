"""REST: find the procedure of a path and call it in-process with Connect's JSON.

The answer of the procedure is sent unchanged. An error has the shape that ZITADEL's API reference
documents: `detail` is the first of `details`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from outrider.api.asgi.gzip import Gzip
from outrider.api.asgi.limits import REQUEST_BYTES, SEND_LESS, TOO_LARGE
from outrider.api.asgi.types import (
    App,
    BodyTooLargeError,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    receive_after,
    send_response,
    without_headers,
)
from outrider.api.rest.request import BadRequestError, message_json
from outrider.api.rest.routes import Match, Routes, path_segments
from outrider.api.rpc.error_mapping import shortened
from outrider.api.rpc.protocol_errors import JSON, media_type, send_error, send_not_allowed
from outrider.api.rpc.service import Service
from outrider.errors import InvalidRequest

UNAUTHORIZED = 401
BAD_REQUEST = 400
OK = 200
CHALLENGE = (b"www-authenticate", b"Bearer")

# These describe the REST request and not the call that is made of it.
REPLACED = (
    b"accept-encoding",
    b"connect-protocol-version",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"grpc-timeout",
    b"transfer-encoding",
)

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: at most eight digits and a unit.
MAX_TIMEOUT_DIGITS = 8
MILLISECONDS = {"H": 3_600_000, "M": 60_000, "S": 1_000, "m": 1, "u": 1e-3, "n": 1e-6}
# Connect-Timeout-Ms has at most ten digits.
MAX_CONNECT_TIMEOUT = 9_999_999_999


class RestApp:
    """Every route of some services, as an ASGI application."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._routes = Routes(service.descriptor for service in services)
        self._apps: Mapping[str, App] = {
            f"/{service.descriptor.type_name}": service.app for service in services
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with the procedure's answer, or with what is wrong with the request."""
        try:
            segments = path_segments(scope["path"], scope.get("raw_path"))
        except UnicodeDecodeError:
            await send_error(scope, send, Code.INVALID_ARGUMENT, "the path is not UTF-8")
            return
        match = self._routes.find(scope["method"], segments)
        if match is not None:
            await self._call(match, scope, receive, send)
        elif routes := self._routes.at(segments):
            verbs = sorted(route.verb for route in routes)
            await send_not_allowed(scope, send, verbs, next(iter(routes)).path)
        else:
            meant = self._routes.meant(scope["method"], segments)
            advice = f": did you mean {meant.verb} {meant.path}?" if meant else ""
            await send_error(scope, send, Code.NOT_FOUND, f"Not Found{advice}")

    async def _call(self, match: Match, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            call = connect_scope(match.route.procedure, scope, JSON)
        except BadRequestError as error:
            await send_error(scope, send, Code.INVALID_ARGUMENT, shortened(str(error)))
            return
        app = self._apps[match.route.procedure.rpartition("/")[0]]
        response = RestResponse(send)
        await app(call, receive_message(match, scope, receive, response), response)


def receive_message(
    match: Match, scope: Scope, receive: Receive, response: RestResponse
) -> Receive:
    """A `receive` whose body is the JSON of the message.

    The request's own body is read when the procedure asks for it, which is after the caller was let
    in. What is wrong with it is raised there.
    """

    async def first() -> bytes:
        try:
            body = await read_json_body(match, scope, receive)
            return message_json(match, scope.get("query_string", b""), body)
        except BodyTooLargeError:
            raise InvalidRequest(TOO_LARGE, hint=SEND_LESS) from None
        except NotJsonError as problem:
            response.bad_request_status = 415
            raise InvalidRequest(shortened(str(problem))) from None
        except BadRequestError as problem:
            raise InvalidRequest(shortened(str(problem))) from None

    return receive_after(first, receive if match.route.body else skip_body(receive))


class NotJsonError(Exception):
    """The body is of a type or in an encoding that REST does not accept."""


async def read_json_body(match: Match, scope: Scope, receive: Receive) -> bytes:
    """The JSON text of the body. Empty when the route has none: a body is ignored then."""
    if not match.route.body:
        return b""
    body = await read_body(receive)
    kind = media_type(scope)
    if body and kind not in {"", "application/json"}:
        raise NotJsonError(f"content type {kind!r} is not supported, send application/json")
    encoding = (header(scope, b"content-encoding") or b"identity").decode("latin-1").lower()
    if encoding == "identity" or not body:
        return body
    if encoding != "gzip":
        raise NotJsonError(f"content encoding {encoding!r} is not supported, send gzip or none")
    return decompress(body)


def decompress(body: bytes) -> bytes:
    """The text of a compressed body; it is not unpacked beyond the limit."""
    try:
        return Gzip().decompress(body, REQUEST_BYTES)
    except ConnectError as error:
        if error.code is Code.RESOURCE_EXHAUSTED:
            raise BodyTooLargeError from error
        raise BadRequestError(f"the body cannot be unpacked: {error.message}") from error
    except (zlib.error, EOFError) as error:
        raise BadRequestError(f"the body cannot be unpacked: {error}") from error


def skip_body(receive: Receive) -> Receive:
    """A `receive` that leaves out a body that the route has no use for."""

    async def receive_after_body() -> Message:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message

    return receive_after_body


def connect_scope(procedure: str, scope: Scope, content_type: Header) -> Scope:
    """The request as a Connect call of the procedure, whose body will be of this type.

    Raises:
        BadRequestError: its time-out cannot be read.
    """
    headers = [*without_headers(scope["headers"], *REPLACED), content_type]
    timeout = header(scope, b"grpc-timeout")
    if timeout is not None and header(scope, b"connect-timeout-ms") is None:
        headers.append((b"connect-timeout-ms", str(timeout_milliseconds(timeout)).encode()))
    return {
        **scope,
        "method": "POST",
        "path": procedure,
        "raw_path": procedure.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }


def timeout_milliseconds(timeout: bytes) -> int:
    """The header Grpc-Timeout.

    Raises:
        BadRequestError: it is none.
    """
    text = timeout.decode("latin-1")
    digits, unit = text[:-1], text[-1:]
    if not (digits.isascii() and digits.isdigit() and unit in MILLISECONDS):
        raise BadRequestError("grpc-timeout must be digits and a unit, such as 10S")
    if len(digits) > MAX_TIMEOUT_DIGITS:
        raise BadRequestError("grpc-timeout must have at most 8 digits")
    return min(int(int(digits) * MILLISECONDS[unit]), MAX_CONNECT_TIMEOUT)


class RestResponse:
    """A `send` that turns the answer of a Connect call into that of a REST call.

    `to_json` makes JSON of the message, where the call is not answered with JSON.
    `bad_request_status` is the status of a bad request whose body REST has a better one for.
    """

    def __init__(self, send: Send, to_json: Callable[[bytes], bytes] | None = None) -> None:
        self._send = send
        self._to_json = to_json
        self.bad_request_status = BAD_REQUEST
        self._start: Message = {}
        self._body: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """Keeps what comes until the answer is complete."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._finish(self._start["status"], b"".join(self._body))

    async def _finish(self, status: int, body: bytes) -> None:
        headers: list[Header] = without_headers(
            self._start["headers"], b"content-encoding", b"vary"
        )
        if status == UNAUTHORIZED:
            headers.append(CHALLENGE)
        elif status == BAD_REQUEST:
            status = self.bad_request_status
        if status == OK and self._to_json is not None:
            headers = [*without_headers(headers, b"content-type"), JSON]
            body = self._to_json(body)
        await send_response(self._send, status, headers, body if status == OK else rest_error(body))


def rest_error(body: bytes) -> bytes:
    """Connect's error with its first detail also as `detail`."""
    error: dict[str, Any] = json.loads(body)
    details = error.get("details")
    if details:
        error = {
            "code": error["code"],
            "message": error["message"],
            "detail": details[0],
            "details": details,
        }
    return json.dumps(error, ensure_ascii=False).encode()
