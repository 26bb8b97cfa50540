"""The protocol of a tunnel's socket: one request, one response, each a head in JSON and a body.

Both ends are processes of the same user; what is read is bounded all the same.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

from outrider.domain.calls.request import (
    MAX_RESPONSE_BYTES,
    OutboundRequest,
    RequestError,
    Response,
    Stage,
)
from outrider.domain.outcome import Outcome

_SIZES = struct.Struct(">II")
MAX_HEAD_BYTES = 1024 * 1024


class BadFrame(Exception):
    """Not what the other end of a tunnel's socket sends."""


def request_frame(request: OutboundRequest) -> bytes:
    """A request as it goes in. Its route means nothing here."""
    head = {"url": request.url, "headers": request.headers, "timeout": request.timeout}
    return _frame(head, request.body)


def response_frame(response: Response | RequestError) -> bytes:
    """Return the frame of a response, or of the error instead of one."""
    if isinstance(response, RequestError):
        head = {
            "outcome": response.outcome.name,
            "stage": response.stage.value,
            "reason": response.reason,
        }
        return _frame(head, b"")
    return _frame({"status": response.status, "headers": response.headers}, response.body)


async def read_request(reader: asyncio.StreamReader) -> OutboundRequest:
    """Raise `BadFrame`, or `OSError` when the connection ends."""
    head, body = await _read(reader)
    try:
        return OutboundRequest(str(head["url"]), _headers(head), body, float(head["timeout"]))
    except (KeyError, ValueError, TypeError) as failure:
        raise BadFrame(str(failure)) from None


async def read_response(reader: asyncio.StreamReader) -> Response:
    """Raise the `RequestError` that came instead of one, `BadFrame`, or `OSError`."""
    head, body = await _read(reader)
    try:
        if "reason" in head:
            outcome, stage = Outcome[head["outcome"]], Stage(head["stage"])
            raise RequestError(outcome, stage, str(head["reason"]))
        return Response(int(head["status"]), _headers(head), body)
    except (KeyError, ValueError, TypeError) as failure:
        raise BadFrame(str(failure)) from None


def _headers(head: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in head["headers"])


def _frame(head: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(head).encode()
    return _SIZES.pack(len(text), len(body)) + text + body


async def _read(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    try:
        head_bytes, body_bytes = _SIZES.unpack(await reader.readexactly(_SIZES.size))
        if head_bytes > MAX_HEAD_BYTES or body_bytes > MAX_RESPONSE_BYTES:
            raise BadFrame("the frame is too large")
        head = json.loads(await reader.readexactly(head_bytes))
        body = await reader.readexactly(body_bytes)
    except asyncio.IncompleteReadError as failure:
        raise ConnectionResetError("the other end went away") from failure
    except ValueError as failure:
        raise BadFrame(str(failure)) from None
    if not isinstance(head, dict):
        raise BadFrame("the head is no object")
    return head, body
