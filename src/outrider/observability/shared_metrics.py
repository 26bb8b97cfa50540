"""Counters in shared memory, which another process may read at any time.

Every series is declared, so each has a fixed offset. To count, a process adds to a number in a
mapped file: no lock, no hash, no message. The counts of a process remain after it ends.

One thread writes a series; several threads may write different ones.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import secrets
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outrider.observability.metrics import DECLARED, Kind, Metric, OpenLabelValues, Values

MAGIC = b"OTRMTR1\n"
SUFFIX = ".cells"
NUMBER_BYTES = 8


class UndeclaredMetric(LookupError):
    """A metric, or a value of a label, that has no declaration."""


class Counter:
    """A number that grows."""

    __slots__ = ("_numbers", "_offset")

    def __init__(self, numbers: Any, offset: int) -> None:
        self._numbers = numbers
        self._offset = offset

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self._numbers[self._offset] += amount


class Gauge(Counter):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """It is this now."""
        self._numbers[self._offset] = value


class Histogram:
    """How many values were how large: counts by bucket, then the sum of values."""

    __slots__ = ("_buckets", "_numbers", "_offset")

    def __init__(self, numbers: Any, offset: int, buckets: Sequence[float]) -> None:
        self._numbers = numbers
        self._offset = offset
        self._buckets = buckets

    def observe(self, value: float) -> None:
        """Count one value; a bucket includes its bound."""
        numbers, offset, buckets = self._numbers, self._offset, self._buckets
        numbers[offset + bisect_left(buckets, value)] += 1.0
        numbers[offset + len(buckets) + 1] += value


@dataclass(slots=True)
class SharedMetrics:
    """The numbers of one process, and the offset of each series in them.

    Raise `UndeclaredMetric` for a series that has no offset.
    """

    numbers: Any
    offsets: Mapping[tuple[str, Values], int]
    _file: int | None = None

    def counter(self, metric: Metric, *values: str) -> Counter:
        """The counter of these label values, in the order of the declaration."""
        return Counter(self.numbers, self._offset(metric, Kind.COUNTER, values))

    def gauge(self, metric: Metric, *values: str) -> Gauge:
        """The gauge of these label values."""
        return Gauge(self.numbers, self._offset(metric, Kind.GAUGE, values))

    def histogram(self, metric: Metric, *values: str) -> Histogram:
        """The histogram of these label values."""
        offset = self._offset(metric, Kind.HISTOGRAM, values)
        return Histogram(self.numbers, offset, metric.buckets)

    def close(self) -> None:
        """The process counts no more; what it counted stays."""
        if self._file is not None:
            # The mapping has a copy of the descriptor, and with it the lock.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None

    def _offset(self, metric: Metric, kind: Kind, values: Values) -> int:
        if DECLARED.get(metric.name) is not metric or metric.kind is not kind:
            raise UndeclaredMetric(f"{metric.name} is not declared as a {kind}")
        offset = self.offsets.get((metric.name, values))
        if offset is None:
            raise UndeclaredMetric(f"{metric.name} is not declared with {values}")
        return offset


def open_shared_metrics(
    directory: Path, open_values: OpenLabelValues | None = None
) -> SharedMetrics:
    """Metrics in a new file of `directory`, which is made when it is missing.

    Raise `OSError` when the disk has no space for it.

    The file is locked while the process lives, so that others can tell.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    open_values = open_values or {}
    header, size = _header(open_values), _number_count(open_values) * NUMBER_BYTES
    # It appears under its name when it is complete and locked: until then it looks like the file
    # of a dead process.
    path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # All of it, and no hole: a number that is counted in a page for which the disk has no
        # space ends the process (SIGBUS).
        _write_all(descriptor, header + bytes(size))
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        new.rename(path)
    except OSError:
        os.close(descriptor)
        new.unlink(missing_ok=True)
        raise
    mapped = memoryview(mmap.mmap(descriptor, len(header) + size))
    return SharedMetrics(mapped[len(header) :].cast("d"), _offsets(open_values), descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    # On a disk that gets full the first write is cut, and the next one says why.
    while content:
        content = content[os.write(descriptor, content) :]


def memory_metrics(open_values: OpenLabelValues | None = None) -> SharedMetrics:
    """Metrics that no other process can read."""
    open_values = open_values or {}
    return SharedMetrics(
        memoryview(bytearray(_number_count(open_values) * NUMBER_BYTES)).cast("d"),
        _offsets(open_values),
    )


def _number_count(open_values: OpenLabelValues) -> int:
    return sum(
        metric.width * sum(1 for _ in metric.series(open_values)) for metric in DECLARED.values()
    )


def _offsets(open_values: OpenLabelValues) -> dict[tuple[str, Values], int]:
    offsets: dict[tuple[str, Values], int] = {}
    offset = 0
    for metric in DECLARED.values():
        for values in metric.series(open_values):
            offsets[metric.name, values] = offset
            offset += metric.width
    return offsets


def _header(open_values: OpenLabelValues) -> bytes:
    """Magic, length of what follows, and a description that needs no knowledge of this release."""
    description = json.dumps(
        [
            [metric.name, metric.width, [list(values) for values in metric.series(open_values)]]
            for metric in DECLARED.values()
        ],
        separators=(",", ":"),
    ).encode()
    description += b" " * (-len(description) % NUMBER_BYTES)
    return MAGIC + len(description).to_bytes(NUMBER_BYTES, "little") + description
