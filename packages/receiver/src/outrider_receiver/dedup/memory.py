"""Claims in this process: for one process, and for tests. It forgets when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from outrider_receiver.dedup import LEASE_SECONDS, Claimed, State, new_token


class MemoryStore:
    """See the module."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[str, float]] = {}  # token, until; done has no token
        self._sweep_at = 0.0

    def claim(self, delivery_id: str, lease_seconds: float) -> Claimed:
        """See `DeduplicationStore`."""
        with self._lock:
            now = self._clock()
            self._sweep(now)
            token, until = self._entries.get(delivery_id, ("", 0.0))
            if until > now:
                return Claimed(State.BUSY if token else State.DONE)
            mine = new_token()
            self._entries[delivery_id] = (mine, now + lease_seconds)
            return Claimed(State.MINE, mine)

    def done(self, delivery_id: str, token: str, keep_seconds: float) -> bool:
        """See `DeduplicationStore`."""
        with self._lock:
            if self._entries.get(delivery_id, ("", 0.0))[0] != token:
                return False
            self._entries[delivery_id] = ("", self._clock() + keep_seconds)
            return True

    def release(self, delivery_id: str, token: str) -> None:
        """See `DeduplicationStore`."""
        with self._lock:
            if self._entries.get(delivery_id, ("", 0.0))[0] == token:
                del self._entries[delivery_id]

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + LEASE_SECONDS
        self._entries = {name: entry for name, entry in self._entries.items() if entry[1] > now}
