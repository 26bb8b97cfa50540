"""aiohttp.

app.router.add_post("/hook", endpoint(receiver))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from outrider_receiver._calls import HttpAnswer
from outrider_receiver.receiver import Receiver


def endpoint(receiver: Receiver) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler for POST. Handlers of yours that are plain functions run in a thread."""

    async def outrider_endpoint(request: web.Request) -> web.StreamResponse:
        body = await _body(request, receiver.max_body_bytes)
        if body is None:
            return _response(HttpAnswer(413))
        return _response(await receiver.handle_async(body, request.headers.items()))

    return outrider_endpoint


async def _body(request: web.Request, most: int) -> bytes | None:
    """The raw body, None when it is longer; not the application's limit, which is of forms."""
    parts, length = [], 0
    async for part in request.content.iter_any():
        length += len(part)
        if length > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _response(answer: HttpAnswer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **dict(answer.headers)}
    if answer.status == 204:  # noqa: PLR2004 - No Content has no type
        del headers["Content-Type"]
    return web.Response(body=answer.body or None, status=answer.status, headers=headers)
