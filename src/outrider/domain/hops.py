"""Count the outrider servers that an event has passed, to end loops of receivers that publish.

A delivery has the number in a header. A receiver that publishes because of the call passes it on
(docs/deliveries.md#event-loops).
"""

from __future__ import annotations

from collections.abc import Sequence

from outrider.errors import FailedPrecondition, InvalidRequest

HOPS_HEADER = "Outrider-Hops"
MAX_HOPS = 16
"""The number of the last delivery of a loop."""
_MAX_DIGITS = 9
_MAX_QUOTED = 40


def parse_hops(values: Sequence[str]) -> int:
    """Return the number in a call's headers of that name; 0 without one. Raise `InvalidRequest`."""
    if not values:
        return 0
    text = values[0].strip(" \t")
    if len(values) > 1 or not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        given = ascii(", ".join(values)[:_MAX_QUOTED])
        raise InvalidRequest(
            f"invalid header {HOPS_HEADER}: {given} must be one whole number: pass on what the"
            " delivery said, or leave the header out"
        )
    return int(text)


def check_hops(hops: int) -> None:
    """Raise `FailedPrecondition` for an event whose deliveries would say more than `MAX_HOPS`."""
    if hops >= MAX_HOPS:
        raise FailedPrecondition(
            f"{HOPS_HEADER} is {hops}, and the limit is {MAX_HOPS}: receivers publish what they"
            " receive, in a loop: stop it where this event is published"
        )
