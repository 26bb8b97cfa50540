"""When fetched keys serve, are renewed and are given up. No clock and no network: see `jwks`."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class KeptKeys(Generic[T]):
    """The keys of one issuer and their age. All times are in seconds, of any clock.

    A clock may be set back: what is from the future is as old as what is from the past.
    """

    def __init__(self, max_age: float, max_stale: float, cool_down: float) -> None:
        self._max_age = max_age
        self._max_stale = max_stale
        self._cool_down = cool_down
        self._kept: tuple[float, T] | None = None
        self._tried_at: float | None = None

    @property
    def newest(self) -> T | None:
        """Return the keys that were kept last, whatever its age."""
        return self._kept[1] if self._kept is not None else None

    def keep(self, keys: T, now: float) -> None:
        """These were fetched."""
        self._kept = now, keys

    def usable(self, now: float) -> T | None:
        """The keys to verify with; None: there are none, or they are too old."""
        is_usable = self._kept is not None and abs(now - self._kept[0]) < self._max_stale
        return self.newest if is_usable else None

    def is_old(self, now: float) -> bool:
        """Return whether usable keys should be renewed."""
        return self._kept is None or abs(now - self._kept[0]) >= self._max_age

    def may_fetch(self, now: float) -> bool:
        """Return whether the last fetch, whatever it brought, is long enough ago. If so, one begins now."""
        if self._tried_at is not None and abs(now - self._tried_at) < self._cool_down:
            return False
        self._tried_at = now
        return True
