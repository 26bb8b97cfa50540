"""Clock, randomness and identifiers. No other module reads a clock or makes random values."""

from __future__ import annotations

import random
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

# Sonyflake's epoch in ZITADEL, 2019-04-29T00:00:00Z.
_EPOCH_MS = 1_556_496_000_000
_SIGNING_KEY_ALPHABET = string.ascii_letters + string.digits
_SIGNING_KEY_LENGTH = 36  # what ZITADEL's generator makes


class IdLayout(NamedTuple):
    """Where an identifier has its parts: time in ticks of so many milliseconds, node, sequence."""

    tick_ms: int
    node_bits: int
    node_shift: int
    sequence_bits: int
    sequence_shift: int


COMPACT = IdLayout(tick_ms=1, node_bits=10, node_shift=12, sequence_bits=12, sequence_shift=0)
"""19 digits since 2026-11-17: 4096 identifiers for each millisecond and node."""
SONYFLAKE = IdLayout(tick_ms=10, node_bits=16, node_shift=0, sequence_bits=8, sequence_shift=16)
"""ZITADEL's: 18 digits from 2021 until 2038, which ZITADEL's Terraform provider insists on."""


class IdGenerator:
    """63-bit identifiers that grow with time.

    Unique among processes that were given different `node` numbers (0..1023). An identifier is
    never below `floor` or one made before, even when the clock goes back: then, and when a tick has
    no more numbers, it has the time of the next tick. No call waits.
    """

    def __init__(
        self,
        *,
        node: int = 0,
        floor: int = 0,
        now_ms: Callable[[], int] | None = None,
        layout: IdLayout = COMPACT,
    ) -> None:
        if not 0 <= node < 1 << layout.node_bits:
            raise ValueError(
                f"node must be between 0 and {(1 << layout.node_bits) - 1}, not {node}"
            )
        self._node = node << layout.node_shift
        self._tick_ms = layout.tick_ms
        self._tick_shift = layout.node_bits + layout.sequence_bits
        self._sequence_shift = layout.sequence_shift
        self._last_sequence = (1 << layout.sequence_bits) - 1
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._tick = (floor >> self._tick_shift) + 1 if floor else 0
        self._sequence = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """The next identifier."""
        with self._lock:
            tick = (self._now_ms() - _EPOCH_MS) // self._tick_ms
            if tick > self._tick:
                self._tick, self._sequence = tick, 0
            elif self._sequence == self._last_sequence:
                # The tick has no more numbers: borrow from the next one.
                self._tick, self._sequence = self._tick + 1, 0
            else:
                self._sequence += 1
            return (
                self._tick << self._tick_shift | self._node | self._sequence << self._sequence_shift
            )


def sonyflake_generator(*, node: int = 0, floor: int = 0) -> IdGenerator:
    """Make identifiers of targets, public keys and web keys, which ZITADEL's clients check."""
    return IdGenerator(node=node, floor=floor, layout=SONYFLAKE)


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

    `now` is aware and in UTC; `draw` is uniform in [0, 1); `new_id` makes identifiers that grow,
    `new_sonyflake` others, which grow as well, for targets, public keys and web keys.
    """

    now: Callable[[], datetime] = utc_now
    draw: Callable[[], float] = random.random
    new_id: Callable[[], int] = field(default_factory=IdGenerator)
    new_sonyflake: Callable[[], int] = field(default_factory=sonyflake_generator)
    new_signing_key: Callable[[], str] = new_signing_key
    new_token: Callable[[], str] = new_token
