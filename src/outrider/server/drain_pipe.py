"""The supervisor tells the API's process that it drains: calls that never end by themselves end.

Envoy knows nothing of it and signals are Envoy's, so a pipe carries the news: its end is the
message, and a supervisor that dies sends it, too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_VARIABLE = "_OUTRIDER_DRAIN_FD"  # no OUTRIDER_ name: those are settings


@dataclass(slots=True)
class DrainPipe:
    """The supervisor's side, for one process."""

    _reading: int
    _writing: int

    @classmethod
    def open(cls) -> DrainPipe:
        """Both ends are open; children inherit neither unless they are told to."""
        return cls(*os.pipe())

    @property
    def child_fd(self) -> int:
        """What the process must keep open."""
        return self._reading

    @property
    def environ(self) -> Mapping[str, str]:
        """How the process finds it."""
        return {_VARIABLE: str(self._reading)}

    def handed_over(self) -> None:
        """The process has it now."""
        self._reading = _closed(self._reading)

    def tell(self) -> None:
        """Tell the process. Told once, it stays told."""
        self._writing = _closed(self._writing)

    def close(self) -> None:
        """Let go of everything."""
        self.handed_over()
        self.tell()


def watch_drain(environ: Mapping[str, str], on_drain: Callable[[], object]) -> None:
    """Call `on_drain` in the running loop, once, when the supervisor drains this process.

    Does nothing in a process that nobody supervises.
    """
    named = environ.get(_VARIABLE)
    if named is None:
        return
    reading = int(named)
    loop = asyncio.get_running_loop()

    def told() -> None:
        loop.remove_reader(reading)
        on_drain()

    loop.add_reader(reading, told)


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1
