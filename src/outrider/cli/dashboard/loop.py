# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""The loop of `outrider top`: look, draw, wait for a second or for a letter."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from outrider.cli.commands.delivery.delivery_stats import counts_of
from outrider.cli.commands.delivery.states import State
from outrider.cli.dashboard.frame import History, StatsSample, frame
from outrider.cli.remote.client import Server
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.output import printable, text_of
from outrider.runtime import utc_now

if TYPE_CHECKING:
    from rich.console import Console

# For so many targets the last error is looked up, each by two calls.
_EXPLAINED = 5
_QUIT = {"q", "Q", "\x03", "\x04"}


def look(server: Server, targets: int) -> StatsSample:
    """Ask the server. Raise `CommandError` when it refuses or does not answer."""
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    request = GetDeliveryStatsRequest(max_targets=targets, max_suspended_targets=targets)
    stats = server.ask(server.deliveries.get_delivery_stats, request)
    failing = [
        text_of(each, "targetId")
        for each in stats.get("targets", ())
        if counts_of(each).get(State.RETRYING) or counts_of(each).get(State.DEAD)
    ]
    errors = {each: last_error(server, each) for each in failing[:_EXPLAINED]}
    return StatsSample(server.url, time.monotonic(), utc_now(), stats, errors)


def last_error(server: Server, target: str) -> str:
    """What went wrong last with the newest delivery to a target that is in trouble."""
    from outrider_api.outrider.v1.delivery_service_pb import (
        DeliveryState,
        GetDeliveryRequest,
        ListDeliveriesRequest,
    )

    states = [DeliveryState.RETRYING, DeliveryState.DEAD]
    request = ListDeliveriesRequest(target_id=target, states=states, page_size=1)
    found = server.ask(server.deliveries.list_deliveries, request).get("deliveries")
    if not found:
        return ""
    try:
        delivery = server.ask(
            server.deliveries.get_delivery, GetDeliveryRequest(id=text_of(found[0], "id"))
        )["delivery"]
    except CommandError as gone:
        if gone.code is not ExitCode.FAILED:
            raise
        # It was forgotten in between.
        return ""
    attempts = delivery.get("attempts")
    return _said(attempts[-1]) if attempts else ""


def _said(attempt: dict[str, Any]) -> str:
    status = attempt.get("statusCode")
    parts = (f"{status}" if status else "", text_of(attempt, "error"))
    return " ".join(part for part in parts if part) or text_of(attempt, "outcome")


def run_once(server: Server, targets: int, console: Console) -> None:
    """Print one frame."""
    found, history = look(server, targets), History()
    history.add(found)
    console.print(frame(found, history), highlight=False)


def run_live(server: Server, targets: int, seconds: float, console: Console) -> None:
    """Show frames until `q` or Ctrl-C. A server that is away for a while is waited for."""
    from rich.live import Live
    from rich.text import Text

    history = History()
    # What is wrong from the start is told at once, and not on a screen that vanishes.
    found: StatsSample | None = look(server, targets)
    with (
        suppress(KeyboardInterrupt),
        _letters() as letters,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            if found is not None:
                history.add(found)
                live.update(frame(found, history), refresh=True)
            if letters.pressed(seconds) & _QUIT:
                return
            try:
                found = look(server, targets)
            except CommandError as error:
                if error.code is not ExitCode.UNREACHABLE:
                    raise
                found = None
                text = f"{printable(error.says)}\nstill trying; q ends it"
                live.update(Text(text), refresh=True)


class Letters:
    """What is typed, letter by letter; nothing where standard input is no terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal

    def pressed(self, within: float) -> set[str]:
        """The letters that came until one did or time was up."""
        if not self._is_terminal:
            time.sleep(within)
            return set()
        ready, _, _ = select.select([sys.stdin], [], [], within)
        # An end of input counts as leaving: the terminal is gone.
        return (
            set(os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace") or "q")
            if ready
            else set()
        )


@contextmanager
def _letters() -> Iterator[Letters]:
    if not sys.stdin.isatty():
        yield Letters(is_terminal=False)
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield Letters(is_terminal=True)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
