"""Open and close an engine; closing waits for calls in flight."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NoReturn, Self

from outrider.bootstrap.embedding import EngineComponents, EngineOptions, open_engine
from outrider.config.loading import Settings
from outrider.embed.api import App, EngineApi
from outrider.embed.logging import HostLog
from outrider.errors import Unavailable


class EngineLifecycle:
    """Owns the components of an engine between `start` and `aclose`."""

    def __init__(self, settings: Settings, options: EngineOptions, log: Any = None) -> None:
        self._settings = settings
        self._options = options
        self._log = log or HostLog()
        self._components: EngineComponents | None = None
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._opening = asyncio.Lock()
        self._in_flight = 0
        self._idle = asyncio.Event()

    def __repr__(self) -> str:
        state = "closed" if self._components is None else f"open, in flight: {self._in_flight}"
        return f"<Engine {self._settings.data_dir} [{state}]>"

    async def start(self) -> Self:
        """Open the store and begin to deliver. An engine that is open stays as it is.

        Raise `StartupError` for data that cannot be used, and for a directory that another
        program holds.
        """
        async with self._opening:
            if self._components is None:
                async with AsyncExitStack() as stack:
                    components = await stack.enter_async_context(
                        open_engine(self._settings, self._options, self._log)
                    )
                    self._stack = stack.pop_all()
                self._components = components
        return self

    async def aclose(self) -> None:
        """Let what is in flight end, at most `drain_timeout` seconds, then close the store.

        The next process that opens the directory makes the deliveries that have not ended.
        Closing again, or what was never open, does nothing.
        """
        async with self._opening:
            if self._components is None:
                return
            self._components, self._app = None, None
            self._on_close()
            try:
                await self._drain()
            finally:
                await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def is_open(self) -> bool:
        """Return whether the engine can be used now."""
        return self._components is not None

    def api(self) -> EngineApi:
        """The whole API of a server as an ASGI application, to be mounted under any path.

        It is opened by its first request. Its callers need a token: the admin token is where a
        server has it.
        """
        return EngineApi(self._open_api)

    @property
    def _open_components(self) -> EngineComponents:
        return self._components or raise_not_open()

    async def _open_api(self) -> App:
        async with self._opening:
            components = self._open_components
            if self._app is not None:
                return self._app
            app: App = await self._stack.enter_async_context(components.open_api())
            self._app = app
            return app

    def _on_close(self) -> None:
        """Drop what was made from the components."""

    def _begin(self) -> EngineComponents:
        components = self._components or raise_not_open()
        self._in_flight += 1
        return components

    def _end(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def _drain(self) -> None:
        self._idle.clear()
        if not self._in_flight:
            return
        try:
            async with asyncio.timeout(self._settings.drain_timeout):
                await self._idle.wait()
        except TimeoutError:
            self._log.warning("engine.shutdown_timeout", in_flight=self._in_flight)


def raise_not_open() -> NoReturn:
    """Raise what every call of an engine raises that is not open."""
    raise Unavailable("the engine is not open: use `async with engine`, or `await engine.start()`")
