"""The processes of one server, as the kernel knows them."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from contextlib import suppress
from pathlib import Path

WORKER = "outrider.worker_main"
ENVOY = "envoy"


def children_of(parent: int) -> list[int]:
    """Every process that this one started and that has not ended."""
    return [pid for pid, parent_pid in _parents() if parent_pid == parent]


def children_running(parent: int, what: str) -> list[int]:
    """Those of them with this word on their command line."""
    return [pid for pid in children_of(parent) if what in command_line(pid)]


def command_line(pid: int) -> str:
    """What it was started with; nothing when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    return ""


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; to a process that is gone, none."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def wait_gone(pid: int, *, within: float) -> None:
    """Wait until a process has ended, also one that is not our child. Raise `TimeoutError`."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not await asyncio.to_thread(poll.poll, within * 1000):
            raise TimeoutError(f"process {pid} is still there: {command_line(pid)[:200]}")
    finally:
        os.close(descriptor)


def _parents() -> list[tuple[int, int]]:
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            # The name of the program is in parentheses and may contain anything.
            with suppress(OSError):
                state, parent = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    found.append((int(directory.name), int(parent)))
    return found
