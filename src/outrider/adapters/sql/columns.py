"""How values become columns: times and durations are integers of microseconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Connection = sqlite3.Connection
Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_NUMBER = 2**63 - 1
_MAX_DIGITS = len(str(_MAX_NUMBER))


def from_time(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def from_optional_time(at: datetime | None) -> int | None:
    """Microseconds since 1970, None for none."""
    return None if at is None else from_time(at)


def to_time(microseconds: int) -> datetime:
    """An aware time in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_optional_time(microseconds: int | None) -> datetime | None:
    """An aware time in UTC, None for none."""
    return None if microseconds is None else to_time(microseconds)


def from_duration(duration: timedelta) -> int:
    """Whole microseconds."""
    return duration // _MICROSECOND


def to_duration(microseconds: int) -> timedelta:
    """A duration."""
    return timedelta(microseconds=microseconds)


def to_number(identifier: str) -> int | None:
    """The integer column of an identifier that we made; None for what we never made."""
    if not (identifier.isascii() and identifier.isdigit() and len(identifier) <= _MAX_DIGITS):
        return None
    number = int(identifier)
    return number if number <= _MAX_NUMBER and str(number) == identifier else None


def marks(values: Iterable[object]) -> str:
    """One placeholder for each value, for `IN (…)`."""
    return ",".join("?" for _ in values)


def bump_routing_revision(connection: Connection) -> None:
    """Tell every node that routing has changed, when this transaction commits."""
    connection.execute("UPDATE routing_revision SET value = value + 1")
