"""From `outrider serve` to ready: the first start in an empty directory, and the second.

Ready means that `/readyz` answers 200: the API is up and its store answers. Nothing is pinned: the
worker starts on another core while the API does. CPU seconds are those of all processes together,
which is what a start takes at least where there is one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.machine import usable_cores
from benchmarks.options import Options
from benchmarks.results import Result, spread, table
from benchmarks.servers import server

NAME = "start"


def run(options: Options) -> Result:
    """A round is a first start and a second one."""
    result = Result(NAME, dict(options.environ))
    for _ in range(options.rounds or options.of(10, 1)):
        with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
            data_dir = Path(directory) / "data"
            result.rounds.append(
                {"first": _start(data_dir, options), "second": _start(data_dir, options)}
            )
    rows = [
        (
            f"{name} start",
            spread([figures[name]["seconds"] for figures in result.rounds], ".2f"),
            spread([figures[name]["cpu_seconds"] for figures in result.rounds], ".2f"),
        )
        for name in ("first", "second")
    ]
    result.table = table(("", "seconds to ready", "CPU seconds"), rows)
    return result


def _start(data_dir: Path, options: Options) -> dict[str, float]:
    with server(data_dir, options, on_cores=usable_cores()) as ready:
        return {"seconds": ready.seconds, "cpu_seconds": ready.cpu_seconds}
