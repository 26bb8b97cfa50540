"""The signals that end a worker's wait for its next poll."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class WakeUp:
    """An event, and at most one timer that sets it. Belongs to the loop."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None

    def now(self) -> None:
        """End the wait."""
        self.event.set()

    def at(self, when: float) -> None:
        """End the wait at this time of the loop, unless a timer does already."""
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_at(when, self.event.set)

    def clear(self) -> None:
        """Let the next wait begin: what has happened so far is dealt with."""
        self.event.clear()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
