"""The API of an engine, mounted in the application around it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from outrider.errors import OutriderError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class EngineApi:
    """An ASGI application; what it answers from is opened by the first request."""

    def __init__(self, open_app: Callable[[], Awaitable[App]]) -> None:
        self._open_app = open_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. An engine that is not open answers 503."""
        if scope["type"] != "http":
            return
        try:
            app = await self._open_app()
        except OutriderError as failure:
            await _send_unavailable(send, failure.message)
        else:
            await app(_unmount(scope), receive, send)


def _unmount(scope: Scope) -> Scope:
    """The request as if the application stood at the root."""
    root = scope.get("root_path", "")
    path = scope["path"]
    if not root or not path.startswith(root):
        return scope
    inner = path.removeprefix(root) or "/"
    return {**scope, "path": inner, "raw_path": inner.encode(), "root_path": ""}


async def _send_unavailable(send: Send, text: str) -> None:
    body = json.dumps({"code": "unavailable", "message": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
