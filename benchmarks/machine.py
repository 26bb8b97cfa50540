"""The machine of the measurements, and the work of each core."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sysconfig
import tempfile
import time
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles

PACKAGES = ("outrider", "uvloop", "httptools", "pyvoy", "connectrpc", "protobuf-py")
FSYNCS = 200


@cache
def usable_cores() -> frozenset[int]:
    """Those that this process may use; asked for the first time before anything is pinned."""
    return frozenset(os.sched_getaffinity(0))


def cores() -> tuple[int, int]:
    """The core for what is measured, and the one for its driver. One core serves both."""
    return min(usable_cores()), max(usable_cores())


def facts(scratch: Path) -> dict[str, object]:
    """The machine, its software, and how fast the disk under `scratch` answers a full fsync."""
    measured, driving = cores()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "measured_core": measured,
        "driving_core": driving,
        "memory_mib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20),
        "kernel": platform.release(),
        "python": platform.python_version(),
        # Without profile-guided optimization everything here is slower by a tenth to a fifth.
        "python_built_with": sysconfig.get_config_var("CONFIG_ARGS"),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "commit": _git("rev-parse", "--short", "HEAD"),
        "source_changed": bool(_git("status", "--porcelain", "--", "src")),
        "file_system": _file_system(scratch),
        "fsync_us": fsync_microseconds(scratch),
        "load_average": os.getloadavg(),
        "taken_at": _now(),
    }


def fsync_microseconds(directory: Path) -> dict[str, float]:
    """Median and 99th percentile of appending 4 KiB and waiting for the disk."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(FSYNCS):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    return {"p50": round(median(times), 1), "p99": round(quantiles(times, n=100)[98], 1)}


def wait_for_quiet(below: float, at_most_s: float) -> float:
    """Wait until the load average of the last minute is low; return what it is in the end."""
    deadline = time.monotonic() + at_most_s
    while os.getloadavg()[0] >= below and time.monotonic() < deadline:
        time.sleep(2.0)
    return os.getloadavg()[0]


def today() -> str:
    """The date that result files carry."""
    return _now()[:10]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")  # noqa: TID251 - a date on a report


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor()}, {platform.machine()}"


def _file_system(directory: Path) -> str:
    found = subprocess.run(
        ["stat", "-f", "-c", "%T", str(directory)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
    except OSError:
        return ""
