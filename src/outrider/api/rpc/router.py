"""Route a request to its service, and answer errors that occur before a service decodes it.

The protocol library answers some of these errors without a body and others not at all. Here every
error has an answer that explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectrpc.code import Code

from outrider.api.asgi.limits import ENVELOPE_BYTES, PATH_CHARS, REQUEST_BYTES, TOO_LARGE
from outrider.api.asgi.types import TRAILERS, App, Receive, Scope, Send, header
from outrider.api.rpc.grpc_web_text import grpc_web_text
from outrider.api.rpc.interceptors import procedure_of
from outrider.api.rpc.protocol_errors import (
    Wire,
    media_type,
    send_error,
    send_not_allowed,
    wire_of,
)
from outrider.api.rpc.service import Service
from outrider.domain.formats.spelling import alike

_GRPC_TYPES = (
    "application/grpc",
    "application/grpc+json",
    "application/grpc+proto",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
)
MEDIA_TYPES = ("application/json", "application/proto", *_GRPC_TYPES)
STREAM_TYPES = ("application/connect+json", "application/connect+proto", *_GRPC_TYPES)
# A text's length is a third more than that of its message.
LONGEST_BODY = (REQUEST_BYTES + ENVELOPE_BYTES) * 4 // 3 + 4


@dataclass(frozen=True, slots=True)
class Procedure:
    """One procedure: who answers it, and the types of requests that it takes."""

    app: App
    media_types: tuple[str, ...]


class RpcRouter:
    """Routes `/package.Service/Method` to the services, and refuses what cannot be a call.

    `otherwise` answers what is meant for no service: the same services on other paths. It gets no
    request that no service could read.
    """

    def __init__(self, services: Sequence[Service], *, otherwise: App) -> None:
        self._otherwise = otherwise
        self._prefixes = tuple(f"/{service.descriptor.type_name}/" for service in services)
        self._procedures = {
            procedure_of(method): Procedure(
                grpc_web_text(service.app),
                MEDIA_TYPES if method.method_kind == "unary" else STREAM_TYPES,
            )
            for service in services
            for method in service.descriptor.methods
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the procedure, answers why not, or leaves the request to `otherwise`."""
        problem = request_problem(scope)
        if problem is not None:
            await send_error(scope, send, Code.INVALID_ARGUMENT, problem)
        elif wire_of(scope) is not Wire.HTTP or scope["path"].startswith(self._prefixes):
            await self._call(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        procedure = self._procedures.get(scope["path"])
        kind = media_type(scope)
        if procedure is None:
            text = f"unknown procedure {scope['path']}{self._advice(scope['path'])}"
            await send_error(scope, send, Code.UNIMPLEMENTED, text, status=404)
        elif scope["method"] != "POST":
            await send_not_allowed(scope, send, ("POST",), scope["path"])
        elif kind not in procedure.media_types:
            text = f"content type {kind!r} is not supported" if kind else "content type is missing"
            accept = ((b"accept-post", ", ".join(procedure.media_types).encode()),)
            await send_error(scope, send, Code.UNIMPLEMENTED, text, status=415, headers=accept)
        elif lacks_trailers(scope):
            text = "gRPC needs HTTP/2 with trailers"
            await send_error(scope, send, Code.UNIMPLEMENTED, text)
        else:
            await procedure.app(with_media_type(scope, kind), receive, send)

    def _advice(self, path: str) -> str:
        """Which procedure is meant; only those of the service are compared when it exists."""
        service, _, name = path.rpartition("/")
        meant = f"{alike(service, {known.rpartition('/')[0] for known in self._procedures})}/"
        known = {known for known in self._procedures if known.startswith(meant)}
        found = alike(name, {procedure.removeprefix(meant) for procedure in known})
        return f"; did you mean {meant}{found}?" if found else ""


def lacks_trailers(scope: Scope) -> bool:
    """Whether the connection cannot carry what ends every answer of gRPC; gRPC-Web needs none.

    Some servers announce trailers for HTTP/1.1 too and then lose them.
    """
    old = scope.get("http_version", "").startswith("1")
    lacking = old or TRAILERS not in (scope.get("extensions") or {})
    return lacking and wire_of(scope) is Wire.GRPC


def with_media_type(scope: Scope, kind: str) -> Scope:
    """The request with its content type in the one spelling that the library knows."""
    headers = [
        (name, kind.encode() if name == b"content-type" else value)
        for name, value in scope["headers"]
    ]
    return {**scope, "headers": headers}


def request_problem(scope: Scope) -> str | None:
    """What no service could read about the request; None: nothing."""
    if len(scope.get("raw_path") or scope["path"]) > PATH_CHARS + len(
        scope.get("query_string", b"")
    ):
        return f"the path is longer than {PATH_CHARS} bytes"
    name = unreadable_header(scope)
    return length_problem(scope) if name is None else f"header {name} is not UTF-8"


def unreadable_header(scope: Scope) -> str | None:
    """The name of a header that is not UTF-8, which the protocol library cannot read."""
    for name, value in scope["headers"]:
        if not (is_utf8(name) and is_utf8(value)):
            return ascii(name)[2:-1]
    return None


def is_utf8(data: bytes) -> bool:
    """Whether the bytes can be read as text; nearly all headers are ASCII, which is quick."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def length_problem(scope: Scope) -> str | None:
    """What is wrong with the announced length, if it is announced."""
    length = header(scope, b"content-length")
    if length is None:
        return None
    if not length.isdigit():
        return "content-length is not a number"
    # int() refuses texts of thousands of digits; no caller needs to know the exact size.
    too_long = len(length) > len(str(LONGEST_BODY)) or int(length) > LONGEST_BODY
    return TOO_LARGE if too_long else None
