# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""The loop of `outrider top`: take a sample, draw it, wait for a second or for a key."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from outrider.cli.commands.delivery.delivery_stats import counts_of
from outrider.cli.commands.delivery.states import State
from outrider.cli.dashboard.frame import History, StatsSample, frame
from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.output import printable, text_of
from outrider.runtime import utc_now

if TYPE_CHECKING:
    from rich.console import Console

# The number of targets whose last error is read, each with two calls.
_MAX_ERRORS = 5
_QUIT = {"q", "Q", "\x03", "\x04"}


def take_sample(server: RemoteServer, targets: int) -> StatsSample:
    """Read the statistics. Raise `CommandError` when the server refuses or does not answer."""
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    request = GetDeliveryStatsRequest(max_targets=targets, max_suspended_targets=targets)
    stats = server.call(server.deliveries.get_delivery_stats, request)
    failing = [
        text_of(target, "targetId")
        for target in stats.get("targets", ())
        if counts_of(target).get(State.RETRYING) or counts_of(target).get(State.DEAD)
    ]
    errors = {target_id: last_error(server, target_id) for target_id in failing[:_MAX_ERRORS]}
    return StatsSample(server.url, time.monotonic(), utc_now(), stats, errors)


def last_error(server: RemoteServer, target: str) -> str:
    """The last error of the newest retrying or dead delivery to a target."""
    from outrider_api.outrider.v1.delivery_service_pb import (
        DeliveryState,
        GetDeliveryRequest,
        ListDeliveriesRequest,
    )

    states = [DeliveryState.RETRYING, DeliveryState.DEAD]
    request = ListDeliveriesRequest(target_id=target, states=states, page_size=1)
    deliveries = server.call(server.deliveries.list_deliveries, request).get("deliveries")
    if not deliveries:
        return ""
    try:
        delivery = server.call(
            server.deliveries.get_delivery, GetDeliveryRequest(id=text_of(deliveries[0], "id"))
        )["delivery"]
    except CommandError as error:
        if error.code is not ExitCode.FAILED:
            raise
        # Retention deleted it in between.
        return ""
    attempts = delivery.get("attempts")
    return _describe_attempt(attempts[-1]) if attempts else ""


def _describe_attempt(attempt: dict[str, Any]) -> str:
    status = attempt.get("statusCode")
    parts = (f"{status}" if status else "", text_of(attempt, "error"))
    return " ".join(part for part in parts if part) or text_of(attempt, "outcome")


def run_once(server: RemoteServer, targets: int, console: Console) -> None:
    """Print one frame."""
    sample, history = take_sample(server, targets), History()
    history.add(sample)
    console.print(frame(sample, history), highlight=False)


def run_live(server: RemoteServer, targets: int, seconds: float, console: Console) -> None:
    """Show frames until `q` or Ctrl-C. While the server is unavailable, wait for it."""
    from rich.live import Live
    from rich.text import Text

    history = History()
    # An error of the first sample ends the command, not a screen that vanishes.
    sample: StatsSample | None = take_sample(server, targets)
    with (
        _open_keyboard() as keyboard,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            if sample is not None:
                history.add(sample)
                live.update(frame(sample, history), refresh=True)
            if keyboard.read_keys(seconds) & _QUIT:
                return
            try:
                sample = take_sample(server, targets)
            except CommandError as error:
                if error.code is not ExitCode.UNREACHABLE:
                    raise
                sample = None
                text = f"{printable(error.message)}\nstill trying; q ends it"
                live.update(Text(text), refresh=True)


class Keyboard:
    """The keys that a user types; none where standard input is no terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal

    def read_keys(self, within: float) -> set[str]:
        """The keys that were pressed, as soon as there is one or the time is up."""
        if not self._is_terminal:
            time.sleep(within)
            return set()
        ready, _, _ = select.select([sys.stdin], [], [], within)
        # An end of input counts as `q`: the terminal is gone.
        return (
            set(os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace") or "q")
            if ready
            else set()
        )


@contextmanager
def _open_keyboard() -> Iterator[Keyboard]:
    if not sys.stdin.isatty():
        yield Keyboard(is_terminal=False)
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield Keyboard(is_terminal=True)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
