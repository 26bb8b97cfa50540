"""A worker that drains a backlog: what `deliveries`, `sizes` and `workers` have in common.

The backlog falls due at one moment. The rate comes from the times that the workers themselves
recorded, from the first 5 % to the last.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks import stores
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import cpu_seconds, started, wait_until
from outrider.runtime import utc_now

_WARM_UP = 0.05
_PATIENCE_S = 300
_FAR = timedelta(hours=10)


@dataclass(frozen=True, slots=True)
class Backlog:
    """`count` deliveries to `targets` targets, in a store of `rows` that wait for retries."""

    count: int
    targets: int = 1
    rows: int = 0


def drain(
    url: str,
    backlog: Backlog,
    options: Options,
    *,
    on_cores: Sequence[int] = (),
    filled: Filled | None = None,
) -> dict[str, float]:
    """Deliveries per second and CPU µs each, by one worker for each of `on_cores`."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
        data_dir = Path(directory)
        environ = stores.environ(data_dir, **options.environ)
        if filled is None:
            _fill(data_dir, url, backlog, environ)
        else:
            filled.copy(backlog, data_dir)
        with (
            stores.DeliveryTable(data_dir, environ) as deliveries,
            _workers(on_cores or cores()[:1], environ, deliveries) as pids,
        ):
            return _drained(data_dir, backlog, environ, deliveries, pids)


class Filled:
    """SQLite stores that are made once and copied: five million rows take minutes to write.

    Their targets call `url`. Each is made from the next smaller one, so ask for that first.
    """

    def __init__(self, directory: Path, url: str) -> None:
        self._directory = directory
        self._url = url
        self._made: dict[int, Path] = {}

    def copy(self, backlog: Backlog, data_dir: Path) -> None:
        """Fill an empty data directory as `backlog` says."""
        if backlog.rows not in self._made:
            self._made[backlog.rows] = self._make(backlog)
        shutil.copytree(self._made[backlog.rows], data_dir, dirs_exist_ok=True)

    def _make(self, backlog: Backlog) -> Path:
        made = self._directory / f"{backlog.targets}-{backlog.rows}"
        smaller = max((rows for rows in self._made if rows < backlog.rows), default=None)
        if smaller is None:
            _fill(made, self._url, backlog, {})
        else:
            shutil.copytree(self._made[smaller], made)
            stores.wait_for_retries(made, backlog.rows - smaller, due_in=_FAR)
        return made


def _fill(data_dir: Path, url: str, backlog: Backlog, environ: Mapping[str, str]) -> None:
    stores.prepare(data_dir, url, environ, targets=backlog.targets)
    if backlog.rows:
        stores.wait_for_retries(data_dir, backlog.rows, due_in=_FAR, more=environ)


@contextmanager
def _workers(
    on_cores: Sequence[int], environ: Mapping[str, str], deliveries: stores.DeliveryTable
) -> Iterator[list[int]]:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                started(["-m", "outrider.worker_main"], cores=frozenset({core}), environ=environ)
            )
            for core in on_cores
        ]
        wait_until(
            lambda: deliveries.workers() == len(processes),
            at_most_s=30,
            every_s=0.01,
            what="the workers",
        )
        yield [process.pid for process in processes]


def _drained(
    data_dir: Path,
    backlog: Backlog,
    environ: Mapping[str, str],
    deliveries: stores.DeliveryTable,
    pids: list[int],
) -> dict[str, float]:
    due_at = stores.add_pending(
        data_dir,
        backlog.count,
        due_in=timedelta(seconds=1 + backlog.count / 5000),
        more=environ,
        targets=backlog.targets,
    )
    _sleep_until(due_at - timedelta(milliseconds=30))
    cpu = -cpu_seconds(pids)
    wait_until(
        lambda: not deliveries.has_open_deliveries(due_at),
        at_most_s=_PATIENCE_S,
        every_s=0.02,
        what="the last delivery",
    )
    return _measured(deliveries, backlog.count, cpu + cpu_seconds(pids))


def _measured(deliveries: stores.DeliveryTable, count: int, cpu: float) -> dict[str, float]:
    if (delivered := deliveries.delivered()) != count:
        raise RuntimeError(f"{delivered} of {count} deliveries were delivered")
    finished_at = deliveries.finished_at()
    warm_up = int(count * _WARM_UP)
    seconds = (finished_at[-1] - finished_at[warm_up]) / 1e6
    later = sum(at > finished_at[warm_up] for at in finished_at)
    return {"per_s": later / seconds, "cpu_us": cpu / count * 1e6}


def _sleep_until(at: datetime) -> None:
    time.sleep(max(0.0, (at - utc_now()).total_seconds()))
