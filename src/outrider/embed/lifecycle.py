"""How an engine is opened and closed, in which loop it is used, and the calls that closing waits for."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from outrider.bootstrap.embedding import EngineComponents, EngineOptions, open_engine
from outrider.config.loading import Settings
from outrider.embed.api import App, EngineApi
from outrider.embed.logging import HostLog
from outrider.errors import FailedPrecondition, Unavailable

T = TypeVar("T")

# How often a thread that waits looks whether the loop still runs.
_LOOK_EVERY_S = 1.0
_NOT_OPEN = "the engine is not open: use `async with engine`, or `await engine.start()`"
_FORKED = (
    "the engine was opened before this process was forked, and works in the process that opened it:"
    " open it after the fork, in each process, with beside_engines=True"
)
_OTHER_LOOP = (
    "the engine was opened in another event loop: await it there, or call"
    " `engine.run(engine.publish(…))` in a thread without a loop"
)
_ENDED = "the event loop in which the engine was opened has ended: call `engine.close()`"


class EngineLifecycle:
    """Owns the components of an engine between `start` and `aclose`."""

    def __init__(self, settings: Settings, options: EngineOptions, log: Any = None) -> None:
        self._settings = settings
        self._options = options
        self._log = log or HostLog()
        self._components: EngineComponents | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._in_flight = 0
        self._opening = asyncio.Lock()
        self._idle = asyncio.Event()
        self._closing = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._of_parent: object = None

    def __repr__(self) -> str:
        state = "closed" if self._components is None else f"open, in flight: {self._in_flight}"
        return f"<Engine {self._settings.data_dir} [{state}]>"

    async def start(self) -> Self:
        """Open the store and begin to deliver. An engine that is open stays as it is.

        Raise `StartupError` for data that cannot be used, and for a directory that another
        program holds; `FailedPrecondition` when it is open in another event loop.
        """
        if self._components is not None:
            self._check_loop()
        elif self._loop is not asyncio.get_running_loop():
            self._loop = asyncio.get_running_loop()
            self._opening, self._idle = asyncio.Lock(), asyncio.Event()
        async with self._opening:
            if self._components is None:
                await self._open()
        return self

    async def aclose(self) -> None:
        """Let what is in flight end, at most `drain_timeout` seconds, then close the store.

        The next process that opens the directory makes the deliveries that have not ended.
        Closing again, or what was never open, does nothing. A loop that cancels its tasks at its
        end, as `asyncio.run` does, closes it as well.
        """
        if self._components is None:
            return
        self._check_loop()
        async with self._opening:
            if self._keeper is not None:
                keeper = self._keeper
                self._closing.set()
                await asyncio.wait({keeper})
                if not keeper.cancelled():
                    keeper.result()

    def close(self) -> None:
        """Close it from code that is not in an event loop, such as a function of `atexit`.

        Like `aclose`, whether the loop of the engine runs in another thread or stands still. After
        its end the store is closed, and no more. Raise `FailedPrecondition` in a thread whose event
        loop runs.
        """
        components, loop = self._components, self._loop
        if components is None or loop is None:
            return
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the one that raises nothing
            raise FailedPrecondition("an event loop runs in this thread: await `engine.aclose()`")
        if loop.is_running():
            self.run(self.aclose())
        elif not loop.is_closed():
            loop.run_until_complete(self.aclose())
        else:
            self._forget()
            components.context.store.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a call of this engine in its loop, and wait in this thread, which is another one.

            engine.run(engine.publish(event))

        Raise what the call raises, `Unavailable` when the engine is not open or its loop ends, and
        `FailedPrecondition` in a thread whose event loop runs.
        """
        try:
            loop = self._loop_for_threads()
        except BaseException:
            work.close()
            raise
        running = asyncio.run_coroutine_threadsafe(work, loop)
        while True:
            try:
                return running.result(_LOOK_EVERY_S)
            except TimeoutError:
                if running.done():
                    return running.result()
                if not loop.is_running():
                    running.cancel()
                    raise Unavailable(_ENDED) from None

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
        """Whether it can be used right now."""
        return self._components is not None

    def api(self) -> EngineApi:
        """The whole API of a server as an ASGI application, to be mounted under any path.

        It is opened by its first request. Its callers need a token: the admin token is where a
        server has it.
        """
        return EngineApi(self._open_api)

    @property
    def _open_components(self) -> EngineComponents:
        components = self._components or self._raise_not_open()
        self._check_loop()
        return components

    async def _open_api(self) -> App:
        # Before the lock, which is the engine's loop's.
        components = self._open_components
        async with self._opening:
            components = self._open_components
            if self._app is not None:
                return self._app
            app: App = await self._stack.enter_async_context(components.open_api())
            self._app = app
            return app

    async def _open(self) -> None:
        opened = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(opened), name="outrider-engine")
        try:
            await opened
        except BaseException:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            raise

    async def _keep(self, opened: asyncio.Future[None]) -> None:
        """Hold everything open, in a task of its own: it also ends in order when its loop ends."""
        async with AsyncExitStack() as stack:
            try:
                self._components = await stack.enter_async_context(
                    open_engine(self._settings, self._options, self._log)
                )
            except Exception as failure:  # noqa: BLE001 - the caller of `start` gets it
                if not opened.done():
                    opened.set_exception(failure)
                return
            self._stack, self._of_parent = stack, None
            _OPEN.add(self)
            if not opened.done():
                opened.set_result(None)
            try:
                await self._closing.wait()
            finally:
                self._forget()
            await self._drain()

    def _forget(self) -> None:
        self._components, self._app, self._keeper = None, None, None
        _OPEN.discard(self)
        self._on_close()

    def _on_close(self) -> None:
        """Drop what was made from the components."""

    def _begin(self) -> EngineComponents:
        components = self._open_components
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

    def _check_loop(self) -> None:
        """Raise `FailedPrecondition` in another loop than the engine's: its connections are there."""
        if asyncio.get_running_loop() is self._loop:
            return
        has_ended = self._loop is not None and self._loop.is_closed()
        raise FailedPrecondition(_ENDED if has_ended else _OTHER_LOOP)

    def _loop_for_threads(self) -> asyncio.AbstractEventLoop:
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the one that raises nothing
            raise FailedPrecondition("an event loop runs in this thread: await the call instead")
        if self._components is None or self._loop is None:
            self._raise_not_open()
        if not self._loop.is_running():
            raise Unavailable(_ENDED)
        return self._loop

    def _raise_not_open(self) -> NoReturn:
        raise Unavailable(_NOT_OPEN if self._of_parent is None else _FORKED)

    def _leave_to_parent(self) -> None:
        """Forget, in a process that was forked, what only the parent's threads can use or close."""
        self._of_parent = (self._components, self._stack, self._app, self._loop, self._keeper)
        self._components, self._app, self._loop, self._keeper = None, None, None, None
        self._stack, self._in_flight = AsyncExitStack(), 0
        self._on_close()


_OPEN: weakref.WeakSet[EngineLifecycle] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for engine in [*_OPEN]:
        engine._leave_to_parent()  # noqa: SLF001 - of this module
    _OPEN.clear()


os.register_at_fork(after_in_child=_leave_all_to_parent)
