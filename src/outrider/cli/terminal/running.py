"""Run something that stays up until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run it to its end on the fastest loop there is; return what it returns."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def on_stop_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at Ctrl-C and at SIGTERM, in the running loop, instead of ending immediately."""
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)


async def until_stopped(main: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, or until the first Ctrl-C, SIGTERM or SIGHUP cancels it.

    More of them do not disturb the cleaning up.
    """
    running = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in numbers:
            loop.add_signal_handler(number, lambda: None)
        running.cancel()

    numbers = (*STOP_SIGNALS, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await running
