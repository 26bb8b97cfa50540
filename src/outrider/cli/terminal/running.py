"""Run something that stays up until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

import uvloop

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it to its end on the fastest loop there is."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def on_stop_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at Ctrl-C and at SIGTERM, in the running loop, instead of ending at once."""
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


T = TypeVar("T")


def interruptibly(call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise what it raises.

    It runs in a thread of its own: the HTTP library looks at no signal before the answer is there.
    After Ctrl-C the thread ends with the process, and the server sees its caller leave.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as failure:  # noqa: BLE001 - raised again where somebody waits
            done.set_exception(failure)

    Thread(target=run, daemon=True).start()
    return done.result()
