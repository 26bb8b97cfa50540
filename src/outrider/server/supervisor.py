"""The supervisor: one API process and several workers, restarted when they die, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outrider.server.envoy import EnvoyServer

# A child that dies again and again is restarted ever more slowly.
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_HEALTHY_AFTER_S = 30.0
_GRACE_S = 5.0


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes of one server alive.

    `announce` gets sentences for the operator. Children get `environ` and hold `lock` open, so
    that the data directory stays locked until the last of them has ended.
    """

    envoy: EnvoyServer
    workers: int
    environ: Mapping[str, str] = field(repr=False)
    lock: int
    drain_delay: float
    drain_timeout: float
    announce: Callable[[str], None]
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _stop_at_once: asyncio.Event = field(default_factory=asyncio.Event)
    _children: set[asyncio.subprocess.Process] = field(default_factory=set)

    def stop(self) -> None:
        """Stop everything in order; `run` returns when it is done.

        A second call stops everything immediately: calls and attempts in flight are cut off.
        """
        (self._stop_at_once if self._stop.is_set() else self._stop).set()

    async def run(self, on_ready: Callable[[int], None]) -> None:
        """Start everything, call `on_ready` with the port, and return when stopped.

        Raise `StartupError` when the API does not start the first time.
        """
        keepers = [asyncio.create_task(self._keep_worker()) for _ in range(self.workers)]
        try:
            await self.envoy.start()
            on_ready(self.envoy.port)
            keepers.append(asyncio.create_task(self._keep_envoy()))
            await self._stop.wait()
            await self._announce_stop()
        finally:
            self._stop.set()
            await self._end_processes()
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _announce_stop(self) -> None:
        """Not ready, while the port stays open: those who send calls here need time to notice."""
        await self.envoy.announce_stop()
        if self.drain_delay:
            self.announce(
                f"stopping: not ready; the server answers calls for {self.drain_delay:g} s;"
                " Ctrl-C again stops immediately"
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.drain_delay):
                await self._stop_at_once.wait()

    async def _end_processes(self) -> None:
        """In order, until a second signal comes."""
        hurry = asyncio.create_task(self._stop_at_once.wait())
        # Both at the same time: together they need no longer than `drain_timeout`.
        in_order = asyncio.gather(self.envoy.stop(self.drain_timeout), self._stop_workers())
        await asyncio.wait((hurry, in_order), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if self._stop_at_once.is_set():
            in_order.cancel()
            await asyncio.gather(in_order, return_exceptions=True)
            await self.envoy.kill()
            await self._kill_workers()
        else:
            await in_order

    async def _keep_envoy(self) -> None:
        pause = _RestartPause()
        while not self._stop.is_set():
            code = await self.envoy.wait()
            if self._stop.is_set():
                return
            self.announce(f"the API's process ended with code {code}; starting it again")
            await pause.before_restart()
            with contextlib.suppress(Exception):
                await self.envoy.start()

    async def _keep_worker(self) -> None:
        pause = _RestartPause()
        while not self._stop.is_set():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "outrider.worker_main"),
                env={**os.environ, **self.environ},
                pass_fds=(self.lock,),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            self._children.add(process)
            code = await process.wait()
            self._children.discard(process)
            if not self._stop.is_set():
                self.announce(f"a worker ended with code {code}; starting another")
                await pause.before_restart()

    async def _stop_workers(self) -> None:
        children = list(self._children)
        for process in children:
            _send_signal(process, signal.SIGTERM)
        ended = asyncio.gather(*(process.wait() for process in children))
        try:
            async with asyncio.timeout(self.drain_timeout + _GRACE_S):
                await ended
        except TimeoutError:
            await self._kill_workers()

    async def _kill_workers(self) -> None:
        children = list(self._children)
        for process in children:
            _send_signal(process, signal.SIGKILL)
        await asyncio.gather(*(process.wait() for process in children))


class _RestartPause:
    """Grows while children die young, and is short again after one that lived."""

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE_S
        self._last = asyncio.get_running_loop().time()

    async def before_restart(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._last > _HEALTHY_AFTER_S:
            self._seconds = _FIRST_PAUSE_S
        await asyncio.sleep(self._seconds)
        self._seconds = min(2 * self._seconds, _LONGEST_PAUSE_S)
        self._last = asyncio.get_running_loop().time()


def _send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
