"""The supervisor tells the API's process that it stops soon, and that it stops now.

Envoy knows nothing of it and signals are Envoy's, so a pipe carries both: a byte says soon, and the
pipe's end says now, which a supervisor that dies says, too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

_READ_BYTES = 64
_VARIABLE = "_OUTRIDER_DRAIN_FD"  # no OUTRIDER_ name: those are settings


@dataclass(slots=True)
class DrainPipe:
    """The supervisor's side, for one process."""

    _read_fd: int
    _write_fd: int

    @classmethod
    def open(cls) -> DrainPipe:
        """Both ends are open; children inherit neither unless they are told to."""
        return cls(*os.pipe())

    @property
    def child_fd(self) -> int:
        """The file descriptor that the process must keep open."""
        return self._read_fd

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment in which the process finds the descriptor."""
        return {_VARIABLE: str(self._read_fd)}

    def close_child_end(self) -> None:
        """Close the end that the process has now."""
        self._read_fd = _close(self._read_fd)

    def announce(self) -> None:
        """Tell the process that it is to stop soon; nothing after the end."""
        if self._write_fd >= 0:
            with suppress(OSError):  # it has ended
                os.write(self._write_fd, b".")

    def signal(self) -> None:
        """Tell the process that it stops now. A second time changes nothing."""
        self._write_fd = _close(self._write_fd)

    def close(self) -> None:
        """Close both ends; that tells the process, too."""
        self.close_child_end()
        self.signal()


def watch_drain(
    environ: Mapping[str, str], on_soon: Callable[[], object], on_now: Callable[[], object]
) -> None:
    """Call both in the running loop when the supervisor signals; `on_now` once, and last.

    Does nothing in a process without a supervisor.
    """
    text = environ.get(_VARIABLE)
    if text is None:
        return
    read_fd = int(text)
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        if os.read(read_fd, _READ_BYTES):
            on_soon()
        else:
            loop.remove_reader(read_fd)
            on_now()

    loop.add_reader(read_fd, on_readable)


def _close(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1
