"""Counting, in one process: cells of shared memory that another process may read at any time.

Since every series is declared, each has its place from the start. To count is to add to a number
in a mapped file: no lock, no hash, no message. What a process has counted outlives it.

One thread writes a series; several may write different ones.
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

from outrider.observability.metrics import DECLARED, Given, Kind, Metric, Values

MAGIC = b"OTRMTR1\n"
SUFFIX = ".cells"
_CELL = 8


class Undeclared(LookupError):
    """A metric, or a value of a label, that nobody declared."""


class Counter:
    """A number that grows."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: Any, at: int) -> None:
        self._cells = cells
        self._at = at

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self._cells[self._at] += amount


class Gauge(Counter):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """It is this now."""
        self._cells[self._at] = value


class Histogram:
    """How many values were how large; the cells are counts by bucket, and the sum of values."""

    __slots__ = ("_at", "_buckets", "_cells")

    def __init__(self, cells: Any, at: int, buckets: Sequence[float]) -> None:
        self._cells = cells
        self._at = at
        self._buckets = buckets

    def observe(self, value: float) -> None:
        """Count one value; a bucket includes its bound."""
        cells, at, buckets = self._cells, self._at, self._buckets
        cells[at + bisect_left(buckets, value)] += 1.0
        cells[at + len(buckets) + 1] += value


@dataclass(slots=True)
class SharedMetrics:
    """The numbers of one process. `Undeclared` is raised for what has no place here."""

    cells: Any
    places: Mapping[tuple[str, Values], int]
    _file: int | None = None

    def counter(self, metric: Metric, *values: str) -> Counter:
        """The counter of these label values, in the order of the declaration."""
        return Counter(self.cells, self._place(metric, Kind.COUNTER, values))

    def gauge(self, metric: Metric, *values: str) -> Gauge:
        """The gauge of these label values."""
        return Gauge(self.cells, self._place(metric, Kind.GAUGE, values))

    def histogram(self, metric: Metric, *values: str) -> Histogram:
        """The histogram of these label values."""
        return Histogram(self.cells, self._place(metric, Kind.HISTOGRAM, values), metric.buckets)

    def close(self) -> None:
        """The process counts no more; what it counted stays."""
        if self._file is not None:
            # The mapping has a copy of the descriptor, and with it the lock.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None

    def _place(self, metric: Metric, kind: Kind, values: Values) -> int:
        if DECLARED.get(metric.name) is not metric or metric.kind is not kind:
            raise Undeclared(f"{metric.name} is not declared as a {kind}")
        place = self.places.get((metric.name, values))
        if place is None:
            raise Undeclared(f"{metric.name} is not declared with {values}")
        return place


def open_shared_metrics(directory: Path, given: Given | None = None) -> SharedMetrics:
    """A meter in a new file of `directory`, which is made when it is missing.

    The file is locked while the process lives, so that others can tell.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    given = given or {}
    head, size = _head(given), _cells_needed(given) * _CELL
    # It appears under its name when it is complete and locked: nobody takes it for a dead one's.
    path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.write(descriptor, head)
    os.ftruncate(descriptor, len(head) + size)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new.rename(path)
    mapped = memoryview(mmap.mmap(descriptor, len(head) + size))
    return SharedMetrics(mapped[len(head) :].cast("d"), _places(given), descriptor)


def memory_metrics(given: Given | None = None) -> SharedMetrics:
    """A meter that nobody else can read."""
    given = given or {}
    return SharedMetrics(
        memoryview(bytearray(_cells_needed(given) * _CELL)).cast("d"), _places(given)
    )


def _cells_needed(given: Given) -> int:
    return sum(each.width * sum(1 for _ in each.series(given)) for each in DECLARED.values())


def _places(given: Given) -> dict[tuple[str, Values], int]:
    places: dict[tuple[str, Values], int] = {}
    at = 0
    for metric in DECLARED.values():
        for values in metric.series(given):
            places[metric.name, values] = at
            at += metric.width
    return places


def _head(given: Given) -> bytes:
    """Magic, length of what follows, and a description that needs no knowledge of this release."""
    described = json.dumps(
        [
            [each.name, each.width, [list(values) for values in each.series(given)]]
            for each in DECLARED.values()
        ],
        separators=(",", ":"),
    ).encode()
    described += b" " * (-len(described) % _CELL)
    return MAGIC + len(described).to_bytes(_CELL, "little") + described
