"""The outcome of an attempt. The numbers are those of `outrider.v1.Outcome`."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """The outcome of an attempt, for deliveries, interceptions and sample calls alike."""

    ACCEPTED = 1
    """2xx, without a forwarded error."""
    REFUSED = 2
    """4xx that is not `OVERLOADED`."""
    OVERLOADED = 3
    """408, 425, 429, 503: the receiver asks for fewer calls."""
    FAILED = 4
    """Other 5xx, 3xx, or a forwarded error in a 2xx."""
    UNREACHABLE = 5
    """DNS, TCP, TLS, time-out, or a response that was cut."""
    BLOCKED = 6
    """The egress policy does not allow the address."""
    BUILD_FAILED = 7
    """Nothing could be sent: no key, or a payload type that cannot be made."""
    LOST = 8
    """The node died between sending and recording."""


HAS_ANSWER = frozenset({Outcome.ACCEPTED, Outcome.REFUSED, Outcome.OVERLOADED, Outcome.FAILED})
