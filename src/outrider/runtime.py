"""Clock, randomness and identifiers: the one file where they come from."""

from __future__ import annotations

import random
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

# Sonyflake's epoch in ZITADEL, 2019-04-29T00:00:00Z: identifiers of both sort together.
_EPOCH_MS = 1_556_496_000_000
_SEQUENCE_BITS = 12
_NODE_BITS = 10
_SIGNING_KEY_ALPHABET = string.ascii_letters + string.digits
_SIGNING_KEY_LENGTH = 36  # what ZITADEL's generator makes


class IdGenerator:
    """63-bit identifiers that grow with time: milliseconds, node, sequence.

    Unique among processes that were given different `node` numbers (0..1023). An identifier is
    never below `floor` or one made before, even when the clock goes back.
    """

    def __init__(
        self, *, node: int = 0, floor: int = 0, now_ms: Callable[[], int] | None = None
    ) -> None:
        if not 0 <= node < 1 << _NODE_BITS:
            raise ValueError(f"node must be between 0 and {(1 << _NODE_BITS) - 1}, not {node}")
        self._node = node << _SEQUENCE_BITS
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._millisecond = (floor >> (_NODE_BITS + _SEQUENCE_BITS)) + 1 if floor else 0
        self._sequence = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """The next identifier."""
        with self._lock:
            millisecond = self._now_ms() - _EPOCH_MS
            if millisecond > self._millisecond:
                self._millisecond, self._sequence = millisecond, 0
            else:
                self._sequence += 1
                if self._sequence >> _SEQUENCE_BITS:
                    # The millisecond has no more numbers: borrow from the next one.
                    self._millisecond, self._sequence = self._millisecond + 1, 0
            return self._millisecond << (_NODE_BITS + _SEQUENCE_BITS) | self._node | self._sequence


def new_signing_key() -> str:
    """36 characters of a-z, A-Z, 0-9, cryptographically random."""
    return "".join(secrets.choice(_SIGNING_KEY_ALPHABET) for _ in range(_SIGNING_KEY_LENGTH))


def new_token() -> str:
    """A bearer token: 256 random bits, recognizable by scanners for leaked secrets."""
    return f"otr_{secrets.token_urlsafe(32)}"


def utc_now() -> datetime:
    """The time of day, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What surrounds a decision: handed to every part, replaced in tests.

    `now` is aware and in UTC; `draw` is uniform in [0, 1); `new_id` makes identifiers that grow.
    """

    now: Callable[[], datetime] = utc_now
    draw: Callable[[], float] = random.random
    new_id: Callable[[], int] = field(default_factory=IdGenerator)
    new_signing_key: Callable[[], str] = new_signing_key
    new_token: Callable[[], str] = new_token
