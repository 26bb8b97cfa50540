"""Times and durations, from and to protobuf."""

from __future__ import annotations

from datetime import datetime, timedelta

from protobuf.wkt.google.protobuf.duration_pb import Duration
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from outrider.errors import InvalidRequest

# 0001-01-01 and 9999-12-31T23:59:59: what RFC 3339 has words for (timestamp.proto).
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_NANOS = 1_000_000_000


def zero_timestamp() -> Timestamp:
    """Go's zero time, 0001-01-01T00:00:00Z, which ZITADEL answers for "never"."""
    return Timestamp(seconds=_FIRST_SECOND)


def to_timestamp(at: datetime) -> Timestamp:
    """A timestamp of microseconds."""
    return Timestamp.from_datetime(at)


def to_optional_timestamp(at: datetime | None) -> Timestamp | None:
    """A timestamp of microseconds, None for none."""
    return None if at is None else to_timestamp(at)


def to_duration(duration: timedelta) -> Duration:
    """A duration of microseconds."""
    return Duration.from_timedelta(duration)


def nanoseconds(timestamp: Timestamp, field_name: str) -> int:
    """Nanoseconds since 1970. Raise `InvalidRequest` naming the field outside of years 1 to 9999."""
    if not (_FIRST_SECOND <= timestamp.seconds <= _LAST_SECOND and 0 <= timestamp.nanos < _NANOS):
        raise InvalidRequest(f"invalid {field_name}: value must be between the years 1 and 9999")
    return timestamp.to_nanos()


def optional_time(timestamp: Timestamp | None, field_name: str) -> datetime | None:
    """An aware time in UTC, cut to microseconds; None for none."""
    if timestamp is None:
        return None
    nanoseconds(timestamp, field_name)
    whole = Timestamp(seconds=timestamp.seconds, nanos=timestamp.nanos // 1000 * 1000)
    return whole.to_datetime()


def optional_duration(duration: Duration | None) -> timedelta | None:
    """A duration; None for none. Validation has bounded it."""
    return None if duration is None else duration.to_timedelta()
