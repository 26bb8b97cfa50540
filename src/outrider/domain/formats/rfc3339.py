"""Dates and times as RFC 3339 writes them, to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NANOS, _LEAP = 1_000_000_000, 60
_HOURS, _MINUTES = 24, 60


def nanoseconds_of(moment: datetime) -> int:
    """Return nanoseconds since 1970, to the microsecond."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def nanoseconds(text: str) -> int:
    """Return nanoseconds since 1970; digits beyond the ninth are cut off.

    A leap second is the second before it. Raise `ValueError` for everything that is not an RFC 3339
    date and time with its offset, and for instants outside of the years 1 to 9999 in UTC.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("it looks like 2030-01-31T12:00:00Z")
    day, time, seconds, fraction, sign, hours, minutes = found.groups()
    if int(seconds) == _LEAP:
        seconds = "59"
    local = datetime.fromisoformat(f"{day}T{time}{seconds}+00:00")
    offset = _offset(sign, hours, minutes) if sign else timedelta()
    # Compared with the offset on the other side: a sum may lie outside of what datetime can say.
    if not _FIRST - local <= -offset <= _LAST - local:
        raise ValueError("outside of the years 1 to 9999")
    whole = (local - offset - EPOCH) // timedelta(seconds=1)
    return whole * _NANOS + int((fraction or "0")[:9].ljust(9, "0"))


def _offset(sign: str, hours: str, minutes: str) -> timedelta:
    if int(hours) >= _HOURS or int(minutes) >= _MINUTES:
        raise ValueError("no offset")
    size = timedelta(hours=int(hours), minutes=int(minutes))
    return size if sign == "+" else -size
