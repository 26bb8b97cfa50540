"""What all processes of a server have counted, the dead ones included.

A directory holds a file for each process that counts (`meter`) and `ended.json`: what processes
counted that are gone. Who reads adds the files of the dead to that and removes them, so that
counters never fall while the server runs and files do not pile up.
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
from outrider.observability.shared_metrics import MAGIC, SUFFIX

_ENDED = "ended.json"
_LOCK = "lock"
_CELL = 8

Numbers = list[float]


@dataclass(slots=True)
class Counted:
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

    def add_all(self, other: Counted) -> None:
        """Add every series of another one."""
        for (name, values), numbers in other.series.items():
            self.add(name, values, numbers)

    def put(self, name: str, values: Values, number: float) -> None:
        """Set a series of one number."""
        self.series[name, values] = [number]


def collect(directory: Path) -> Counted:
    """The sum over all processes; gauges over those that live."""
    whole = Counted()
    with _locked(directory):
        ended, dead = _ended(directory), []
        for path in sorted(directory.glob(f"*{SUFFIX}")):
            found, lives = _read(path)
            if lives:
                whole.add_all(found)
            else:
                ended.add_all(_lasting(found))
                dead.append(path)
        if dead:
            _write_ended(directory, ended)
            for path in dead:
                path.unlink(missing_ok=True)
    whole.add_all(ended)
    return whole


def forget(directory: Path) -> None:
    """Remove what processes counted that are gone: for a server that starts."""
    if not directory.is_dir():
        return
    with _locked(directory):
        (directory / _ENDED).unlink(missing_ok=True)
        for path in [*directory.glob(f"*{SUFFIX}"), *directory.glob("*.new")]:
            if not _lives(path):
                path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[Counted, bool]:
    # Asked first: who dies in between is counted as living once more, and not forgotten.
    lives = _lives(path)
    return _parsed(path.read_bytes()), lives


def _lives(path: Path) -> bool:
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


def _parsed(content: bytes) -> Counted:
    """Numbers of one file; none of a file that is not one."""
    found = Counted()
    start = len(MAGIC) + _CELL
    length = int.from_bytes(content[len(MAGIC) : start], "little")
    if content[: len(MAGIC)] != MAGIC or (len(content) - start - length) % _CELL:
        return found
    cells = memoryview(content)[start + length :].cast("d")
    at = 0
    for name, width, series in json.loads(content[start : start + length]):
        for values in series:
            found.add(name, tuple(values), cells[at : at + width].tolist())
            at += width
    return found


def _lasting(counted: Counted) -> Counted:
    """Without gauges, and without what was never counted."""
    kept = {
        (name, values): numbers
        for (name, values), numbers in counted.series.items()
        if DECLARED[name].kind is not Kind.GAUGE and any(numbers)
    }
    return Counted(kept)


def _ended(directory: Path) -> Counted:
    found = Counted()
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


def _write_ended(directory: Path, ended: Counted) -> None:
    content: dict[str, list[tuple[Values, Numbers]]] = {}
    for (name, values), numbers in ended.series.items():
        content.setdefault(name, []).append((values, numbers))
    new = directory / f"{_ENDED}.new"
    new.write_text(json.dumps(content))
    new.rename(directory / _ENDED)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(directory / _LOCK, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
