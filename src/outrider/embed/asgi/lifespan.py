"""The start and the end of an application, with what belongs to the middleware in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from outrider.embed.asgi.bodies import Message, Receive
from outrider.embed.asgi.responses import Send
from outrider.embed.engine import Engine
from outrider.errors import OutriderError, StartupError

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_STARTED, _FAILED = "lifespan.startup.complete", "lifespan.startup.failed"
_ENDED = "lifespan.shutdown.complete"


class Lifespan:
    """One run of an application. `engine` is opened before it and closed after it; None: neither."""

    def __init__(self, app: App, engine: Engine | None) -> None:
        self._app = app
        self._engine = engine

    async def run(
        self, scope: Scope, receive: Receive, send: Send, register: Callable[[], Awaitable[None]]
    ) -> None:
        """Serve the lifespan; `register` is called when the application has started."""

        async def send_registered(message: Message) -> None:
            if message["type"] == _STARTED:
                try:
                    await register()
                except OutriderError as error:
                    message = {"type": _FAILED, "message": str(error)}
            await send(message)

        if self._engine is None:
            await self._app(scope, receive, send_registered)
        else:
            await self._with_engine(self._engine, scope, receive, send_registered)

    async def _with_engine(
        self, engine: Engine, scope: Scope, receive: Receive, send: Send
    ) -> None:
        startup = await receive()
        try:
            await engine.start()
        except (StartupError, OutriderError) as failure:
            await send({"type": _FAILED, "message": str(failure)})
            return
        last: list[Message] = []

        async def send_or_keep(message: Message) -> None:
            # The server may end the loop after the last message: the engine is closed before it.
            if message["type"].startswith("lifespan.shutdown."):
                last.append(message)
            else:
                await send(message)

        try:
            await self._run_app(scope, startup, receive, send_or_keep)
        finally:
            await engine.aclose()
        for message in last:
            await send(message)

    async def _run_app(self, scope: Scope, startup: Message, receive: Receive, send: Send) -> None:
        pending = [startup]

        async def receive_startup_first() -> Message:
            return pending.pop() if pending else await receive()

        try:
            await self._app(scope, receive_startup_first, send)
        except Exception:
            if not pending:
                raise
            # An application that knows no lifespan raises at once, as the specification says.
            await send({"type": _STARTED})
            await receive()
            await send({"type": _ENDED})
