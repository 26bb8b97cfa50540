"""From publishing an event to the receiver's first byte: idle, and with a dead target's backlog.

The backlog is due when the server starts: a million deliveries (`--count`) to a target that refuses
connections, or that takes them and never answers. A healthy target's events are timed one at
a time, as in `latency`. Both servers of a pair are measured in one round, so that the ratio says
what the backlog costs. Next to it is the memory of all processes while the backlog lies there.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import uvloop

from benchmarks import stores
from benchmarks.latency import Timed, timed
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import started
from benchmarks.results import Result, spread, table
from outrider.domain.ids import TargetId

NAME = "backlog"
_DEAD = TargetId("999")
_SILENT = Path(__file__).with_name("silent.py")
_REFUSING = "http://127.0.0.1:9/"
_SAMPLES = 300
# The first seconds are those of a new backlog: each call to the dead target is the first one.
_SETTLE_S = 5.0
_HEADS = ("", "p50 ms", "p99 ms", "p99 of idle", "MiB in all", "MiB over idle")
_KINDS = {"idle": "idle", "refuses": "backlog, refused", "silent": "backlog, never answered"}


def run(options: Options) -> Result:
    """A round is a server that is idle, and one for each kind of dead target."""
    count = options.count or options.of(1_000_000, 1_000)
    samples = options.of(_SAMPLES, 10)
    result = Result(NAME, {"backlog": count, "events": samples, **options.environ})
    for _ in range(options.rounds or options.of(3, 1)):
        taken = {kind: _measured(kind, count, samples, options) for kind in _KINDS}
        result.rounds.append(taken)
    result.table = _table(result)
    return result


def _measured(kind: str, count: int, samples: int, options: Options) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(dir=options.scratch) as directory,
        _dead(kind) as endpoint,
    ):
        data_dir = Path(directory)

        async def fill() -> None:
            if kind != "idle":
                await asyncio.to_thread(_add_pending, data_dir, endpoint, count)

        how = Timed(samples, options.of(_SETTLE_S, 0.5), fill)
        return uvloop.run(timed(data_dir, how, options))


def _add_pending(data_dir: Path, endpoint: str, count: int) -> None:
    stores.add_target(data_dir, _DEAD, endpoint)
    stores.add_pending(data_dir, count, due_in=timedelta(0), to=_DEAD)


@contextmanager
def _dead(kind: str) -> Iterator[str]:
    if kind != "silent":
        yield _REFUSING
        return
    with started([_SILENT], cores=frozenset({cores()[1]})) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"


def _table(result: Result) -> str:
    rows = []
    for kind, shown in _KINDS.items():
        taken = [figures[kind] for figures in result.rounds]
        idle = [figures["idle"] for figures in result.rounds]
        pairs = list(zip(taken, idle, strict=True))
        rows.append(
            (
                shown,
                spread([figures["received_p50_ms"] for figures in taken], ".1f"),
                spread([figures["received_p99_ms"] for figures in taken], ".1f"),
                spread(
                    [one["received_p99_ms"] / base["received_p99_ms"] for one, base in pairs], ".2f"
                ),
                spread([figures["mib"] for figures in taken], ".0f"),
                spread([one["mib"] - base["mib"] for one, base in pairs], ".0f"),
            )
        )
    return table(_HEADS, rows)
