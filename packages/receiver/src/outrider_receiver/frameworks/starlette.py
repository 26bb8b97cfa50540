"""Starlette and FastAPI.

app.add_route("/hook", endpoint(receiver), methods=["POST"])  # Starlette
app.post("/hook")(endpoint(receiver))                         # FastAPI
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from outrider_receiver._calls import HttpAnswer
from outrider_receiver.receiver import Receiver


def endpoint(receiver: Receiver) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint for POST. Handlers that are plain functions run in a thread."""

    async def outrider_endpoint(request: Request) -> Response:
        body = await _body(request, receiver.max_body_bytes)
        if body is None:
            return _response(HttpAnswer(413))
        return _response(await receiver.handle_async(body, request.headers.items()))

    return outrider_endpoint


async def _body(request: Request, most: int) -> bytes | None:
    """The raw body, None when it is longer; no more is read than that."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _response(answer: HttpAnswer) -> Response:
    response = Response(
        answer.body, answer.status, dict(answer.headers), media_type=answer.content_type
    )
    if answer.status == 204:  # noqa: PLR2004 - No Content has no type
        del response.headers["content-type"]
    return response
