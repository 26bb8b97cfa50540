"""An application that is opened when its server starts, and closed when the server stops.

https://asgi.readthedocs.io/en/latest/specs/lifespan.html
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from outrider.api.asgi.types import App, Receive, Scope, Send

OpenApp = Callable[[], AbstractAsyncContextManager[App]]


class LifespanApp:
    """Opens the application once, and passes every request on to it."""

    def __init__(self, open_app: OpenApp) -> None:
        self._open_app = open_app
        self._stack = AsyncExitStack()
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and stop.

        When opening or closing raises, the server is told; it does not start then.
        """
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            phase = message["type"]
            try:
                await (self._open if phase == "lifespan.startup" else self._stack.aclose)()
            except Exception as error:
                await send({"type": f"{phase}.failed", "message": str(error)})
                raise
            await send({"type": f"{phase}.complete"})
            if phase == "lifespan.shutdown":
                return

    async def _open(self) -> None:
        self._app = await self._stack.enter_async_context(self._open_app())
