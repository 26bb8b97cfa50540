"""Processes under measurement: pinned to cores, watched through /proc, stopped at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SINK = Path(__file__).with_name("sink.py")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_S = 30.0
_SHOWN_BYTES = 4000


@contextmanager
def started(
    arguments: Sequence[str | Path],
    *,
    cores: frozenset[int],
    environ: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A Python process on these cores, with its standard output to read; terminated on leaving.

    What it logs goes to a file, and is shown when the measurement fails.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**_neutral_environ(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 - no threads here
        )
        try:
            yield process
        except BaseException:
            log.seek(max(0, log.tell() - _SHOWN_BYTES))
            sys.stderr.write(log.read())
            raise
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


@contextmanager
def sink(core: int) -> Iterator[str]:
    """A receiver that accepts everything; the value is its URL."""
    with started([SINK], cores=frozenset({core})) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/hook"


def family(pid: int) -> list[int]:
    """A process and all that descends from it, parents first."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, thread.read_text().split())
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that these processes have taken so far."""
    return sum(_ticks(Path(f"/proc/{pid}")) for pid in pids) / _TICKS_PER_SECOND


def thread_cpu_seconds(pid: int) -> dict[str, float]:
    """CPU time of each thread of a process; `main` is the one that it began with."""
    tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
    return {
        "main" if int(task.name) == pid else f"thread {number}": _ticks(task) / _TICKS_PER_SECOND
        for number, task in enumerate(tasks)
    }


def pss_mib(pid: int) -> float:
    """Resident memory of a process, pages that it shares divided among those who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup names no Pss")


def command_of(pid: int) -> str:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


def wait_until(
    condition: Callable[[], bool], *, at_most_s: float, every_s: float, what: str
) -> None:
    """Return when `condition()` is true. Raise `TimeoutError` naming what never came."""
    deadline = time.monotonic() + at_most_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {at_most_s:g} s")
        time.sleep(every_s)


def _ticks(entry: Path) -> int:
    # Behind the name, which may hold blanks: utime and stime are fields 14 and 15.
    fields = (entry / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _neutral_environ() -> dict[str, str]:
    # Settings of the measuring process must not reach what is measured.
    return {name: text for name, text in os.environ.items() if not name.startswith("OUTRIDER_")}
