"""Answers to requests that never reach a service, in the words of the caller's protocol.

gRPC and gRPC-Web callers read a status from the headers of an HTTP 200; other callers read JSON
and an HTTP status.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from urllib.parse import quote

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from outrider.api.asgi.types import Header, Scope, Send, header, send_response
from outrider.api.rpc.error_mapping import bounded, error_document
from outrider.api.rpc.status_codes import GRPC_STATUS, HTTP_STATUS

JSON = (b"content-type", b"application/json")


class Wire(Enum):
    """The protocol of the caller."""

    HTTP = "application/json"
    GRPC = "application/grpc"
    GRPC_WEB = "application/grpc-web"
    GRPC_WEB_TEXT = "application/grpc-web-text"


def media_type(scope: Scope) -> str:
    """The content type without its parameters, in lower case; empty when there is none."""
    value = header(scope, b"content-type") or b""
    return value.partition(b";")[0].strip().lower().decode("latin-1")


def wire_of(scope: Scope) -> Wire:
    """Told by the content type; anything that is not gRPC is plain HTTP."""
    family = media_type(scope).partition("+")[0]
    return next((wire for wire in Wire if wire.value == family), Wire.HTTP)


async def send_error(
    scope: Scope,
    send: Send,
    code: Code,
    text: str,
    *,
    status: int | None = None,
    headers: tuple[Header, ...] = (),
) -> None:
    """Answers with an error and no body was read for it.

    `status` replaces the HTTP status that belongs to the code; gRPC callers never see it.
    """
    wire, text = wire_of(scope), bounded(text)
    if wire is not Wire.HTTP:
        await send_response(send, 200, grpc_error(wire, code, text))
        return
    body = json.dumps({"code": code.value, "message": text}, ensure_ascii=False).encode()
    await send_response(send, status or HTTP_STATUS[code], (JSON, *headers), body)


async def send_not_allowed(scope: Scope, send: Send, verbs: Sequence[str], path: str) -> None:
    """Answers 405 to a verb that a path is not served with, and says what to send instead."""
    text = f"Method Not Allowed: send {either(verbs)} {path} instead of {scope['method']}"
    allow = ((b"allow", ", ".join(verbs).encode()),)
    await send_error(scope, send, Code.UNIMPLEMENTED, text, status=405, headers=allow)


def either(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


async def send_failure(
    scope: Scope, send: Send, error: ConnectError, *, headers: tuple[Header, ...] = ()
) -> None:
    """Answers with an error and its details; gRPC callers get it without them."""
    if wire_of(scope) is not Wire.HTTP:
        await send_error(scope, send, error.code, error.message)
        return
    body = json.dumps(error_document(error), ensure_ascii=False).encode()
    await send_response(send, HTTP_STATUS[error.code], (JSON, *headers), body)


def grpc_error(wire: Wire, code: Code, text: str) -> tuple[Header, ...]:
    """The headers of a response that has nothing but headers.

    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md (Trailers-Only)
    """
    return (
        (b"content-type", wire.value.encode()),
        (b"grpc-status", str(GRPC_STATUS[code]).encode()),
        (b"grpc-message", quote(text, safe=" ").encode()),
    )
