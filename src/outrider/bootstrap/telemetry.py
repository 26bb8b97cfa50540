"""Metrics and traces of one process: opened with its store, closed with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from outrider.observability import metrics
from outrider.observability.collectors import RpcCollector
from outrider.observability.multiprocess import delete_ended
from outrider.observability.otel import tracing_from
from outrider.observability.process_metrics import GaugeSampler, ProcessMetrics
from outrider.observability.shared_metrics import SharedMetrics, open_shared_metrics
from outrider.runtime import Runtime
from outrider.usecases.ports.tracing import TracePropagator, Tracing

_DIRECTORY = "metrics"


@contextmanager
def open_process_metrics(data_dir: Path) -> Iterator[ProcessMetrics]:
    """Count in a file of the data directory; in memory where this process cannot write one."""
    directory = data_dir / _DIRECTORY
    try:
        process_metrics = (
            ProcessMetrics(open_shared_metrics(directory), directory)
            if data_dir.is_dir()
            else ProcessMetrics()
        )
    except OSError:
        process_metrics = ProcessMetrics()
    try:
        yield process_metrics
    finally:
        process_metrics.shared.close()


def reset_metrics(data_dir: Path) -> None:
    """Begin at zero: for a server that starts and holds the directory."""
    delete_ended(data_dir / _DIRECTORY)


@asynccontextmanager
async def sample_gauges(process_metrics: ProcessMetrics, role: str) -> AsyncIterator[None]:
    """Sample while the block lasts. `role` is one of `metrics.ROLES`."""
    sampling = asyncio.create_task(GaugeSampler(process_metrics, role).run())
    try:
        yield
    finally:
        sampling.cancel()


def open_tracing(runtime: Runtime) -> Tracing | None:
    """Return what records spans, as the environment configures it (`OTEL_…`), or None."""
    return tracing_from(TracePropagator(runtime.new_id))


def open_rpc_metrics(
    process_metrics: ProcessMetrics, rpcs: RpcCollector, services: Sequence[Any]
) -> SharedMetrics | None:
    """Count the calls of these services, in a separate file; the caller closes it.

    None where there is no such file: the calls are not counted then.
    """
    if process_metrics.directory is None:
        return None
    procedures = [
        (service.descriptor.type_name, method.name)
        for service in services
        for method in service.descriptor.methods
    ]
    try:
        shared_metrics = open_shared_metrics(
            process_metrics.directory, {metrics.RPC_REQUESTS.label_names[0]: procedures}
        )
    except OSError:
        return None
    rpcs.count_in(shared_metrics)
    return shared_metrics
