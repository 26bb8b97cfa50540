"""Add the metrics of all processes of a server, dead ones included.

A directory holds a file for each process that counts (`shared_metrics`) and `ended.json`: the
totals of processes that have ended. A reader adds the files of the dead to that and removes them,
so that counters never fall while the server runs and files do not pile up.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from outrider.observability.metrics import DECLARED, Kind, Values
from outrider.observability.shared_metrics import MAGIC, NUMBER_BYTES, SUFFIX

_ENDED = "ended.json"
_LOCK = "lock"

Numbers = list[float]


@dataclass(slots=True)
class Totals:
    """Numbers by metric and label values. Those of a histogram are its buckets', then the sum."""

    series: dict[tuple[str, Values], Numbers] = field(default_factory=dict)

    def add(self, name: str, values: Values, numbers: Sequence[float]) -> None:
        """Add to a series. What this release does not declare like that is left out."""
        metric = DECLARED.get(name)
        if metric is None or metric.width != len(numbers):
            return
        known = self.series.get((name, values))
        if known is None:
            self.series[name, values] = list(numbers)
        else:
            for position, number in enumerate(numbers):
                known[position] += number

    def add_all(self, other: Totals) -> None:
        """Add every series of another one."""
        for (name, values), numbers in other.series.items():
            self.add(name, values, numbers)

    def put(self, name: str, values: Values, number: float) -> None:
        """Set a series of one number."""
        self.series[name, values] = [number]


def collect(directory: Path) -> Totals:
    """The sum over all processes; gauges over those that live."""
    totals = Totals()
    with _lock(directory):
        ended, dead = _read_ended(directory), []
        for path in sorted(directory.glob(f"*{SUFFIX}")):
            found, is_alive = _read(path)
            if is_alive:
                totals.add_all(found)
            else:
                ended.add_all(_without_gauges(found))
                dead.append(path)
        if dead:
            _write_ended(directory, ended)
            for path in dead:
                path.unlink(missing_ok=True)
    totals.add_all(ended)
    return totals


def delete_ended(directory: Path) -> None:
    """Remove what ended processes counted: for a server that starts."""
    if not directory.is_dir():
        return
    with _lock(directory):
        (directory / _ENDED).unlink(missing_ok=True)
        for path in [*directory.glob(f"*{SUFFIX}"), *directory.glob("*.new")]:
            if not _is_alive(path):
                path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[Totals, bool]:
    # Asked first: a process that ends in between is counted as living once more, and not lost.
    is_alive = _is_alive(path)
    return _parse(path.read_bytes()), is_alive


def _is_alive(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _parse(content: bytes) -> Totals:
    """Numbers of one file; none of a file that is not one."""
    found = Totals()
    start = len(MAGIC) + NUMBER_BYTES
    length = int.from_bytes(content[len(MAGIC) : start], "little")
    if content[: len(MAGIC)] != MAGIC or (len(content) - start - length) % NUMBER_BYTES:
        return found
    numbers = memoryview(content)[start + length :].cast("d")
    offset = 0
    for name, width, series in json.loads(content[start : start + length]):
        for values in series:
            found.add(name, tuple(values), numbers[offset : offset + width].tolist())
            offset += width
    return found


def _without_gauges(totals: Totals) -> Totals:
    """Without gauges, and without what was never counted."""
    kept = {
        (name, values): numbers
        for (name, values), numbers in totals.series.items()
        if DECLARED[name].kind is not Kind.GAUGE and any(numbers)
    }
    return Totals(kept)


def _read_ended(directory: Path) -> Totals:
    found = Totals()
    try:
        content: Mapping[str, list[tuple[list[str], Numbers]]] = json.loads(
            (directory / _ENDED).read_bytes()
        )
    except (FileNotFoundError, ValueError):
        return found
    for name, series in content.items():
        for values, numbers in series:
            found.add(name, tuple(values), numbers)
    return found


def _write_ended(directory: Path, ended: Totals) -> None:
    content: dict[str, list[tuple[Values, Numbers]]] = {}
    for (name, values), numbers in ended.series.items():
        content.setdefault(name, []).append((values, numbers))
    new = directory / f"{_ENDED}.new"
    new.write_text(json.dumps(content))
    new.rename(directory / _ENDED)


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(directory / _LOCK, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
