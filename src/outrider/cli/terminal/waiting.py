"""Wait for an answer so that Ctrl-C ends the wait."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def call_interruptibly(call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise what it raises.

    It runs in its own thread: the HTTP library handles no signal before the answer is there.
    After Ctrl-C the thread ends with the process, and the server sees its caller leave.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as failure:  # noqa: BLE001 - the waiting thread raises it again
            done.set_exception(failure)

    Thread(target=run, daemon=True).start()
    return done.result()
