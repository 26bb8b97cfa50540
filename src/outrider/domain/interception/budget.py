"""How a caller's time is shared among the targets that it waits for."""

from __future__ import annotations

from collections.abc import Sequence


def share(remaining: float, timeouts: Sequence[float]) -> float:
    """Return how many seconds the first of the targets still to be called may take.

    `timeouts` are their own, in order. When there is time for all of them each has its own. When
    there is not, the rest is shared in their proportion: the sum never exceeds `remaining`, and a
    target at the end of the list is not starved by one before it. What one leaves unused is there
    for the next: this is asked again before every call. Never below 0.
    """
    wanted = sum(timeouts)
    if wanted <= remaining:
        return timeouts[0]
    return max(0.0, remaining) * timeouts[0] / wanted
