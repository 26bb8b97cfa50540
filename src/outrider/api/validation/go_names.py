"""Names and values as the Go server of ZITADEL writes them into its messages."""

from __future__ import annotations

import re

from protobuf import DescMessage

NANOS_PER_SECOND = 1_000_000_000
NANOS_PER_MINUTE = 60 * NANOS_PER_SECOND
NANOS_PER_HOUR = 60 * NANOS_PER_MINUTE
# Below a second Go chooses the unit in which the number is at least 1.
SMALL_UNITS = ((1_000_000, "ms"), (1_000, "µs"), (1, "ns"))

_WORD_START = re.compile(r"(?:^|_)([a-z])")


def go_name(name: str) -> str:
    """`in_target_ids_filter` becomes `InTargetIdsFilter`.

    As protoc-gen-go does it: initialisms are not known, and an underscore stays where no small
    letter follows.
    """
    return _WORD_START.sub(lambda match: match[1].upper(), name)


def go_message_name(desc: DescMessage) -> str:
    """The name of the Go type: nested names are joined with an underscore."""
    name = go_name(desc.name)
    return name if desc.parent is None else f"{go_message_name(desc.parent)}_{name}"


def go_number(value: float) -> str:
    """Whole numbers without a fraction."""
    return str(int(value)) if value == int(value) else repr(value)


def go_duration(nanos: int) -> str:
    """A duration as Go's `time.Duration` prints it: `0s`, `1.5s`, `4m30s`, `168h0m0s`."""
    sign = "-" if nanos < 0 else ""
    nanos = abs(nanos)
    if nanos == 0:
        return "0s"
    for size, unit in SMALL_UNITS:
        if size <= nanos < NANOS_PER_SECOND:
            return f"{sign}{_fraction(nanos, size)}{unit}"
    hours, rest = divmod(nanos, NANOS_PER_HOUR)
    minutes, rest = divmod(rest, NANOS_PER_MINUTE)
    seconds = f"{_fraction(rest, NANOS_PER_SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _fraction(nanos: int, size: int) -> str:
    whole, rest = divmod(nanos, size)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if rest else str(whole)
