"""The processes of a server: the supervisor, and the workers that it starts."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Literal

import structlog

from outrider.bootstrap.app_context import AppContext, log_service_links, open_store
from outrider.bootstrap.components import open_maintenance
from outrider.bootstrap.databases import as_startup_errors
from outrider.bootstrap.first_run import check_files, prepare
from outrider.bootstrap.http_client import REQUEST_BUILDER, open_http_client
from outrider.bootstrap.telemetry import sample_gauges
from outrider.config.loading import Settings, to_environ
from outrider.config.parsers import LogAttempts, LogLevel
from outrider.domain.targets.retry_schedule import RetrySchedule
from outrider.observability.collectors import DeliveryCollector
from outrider.observability.logging_setup import configure_logs, name_process
from outrider.server.data_directory import (
    lock_exclusive,
    lock_shared,
    reserve_node_number,
)
from outrider.server.parent_watch import PARENT_VARIABLE, watch_parent
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.ports.http_client import HttpClient
from outrider.worker.attempts import AttemptRunner
from outrider.worker.rescuer import Rescuer
from outrider.worker.worker import Worker

# A worker without its server holds the data directory's lock, and the next server waits for it.
_ORPHAN_DRAIN_S = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SIGNALLED = 128


async def serve(settings: Settings, *, announce: Callable[[str], None]) -> int:
    """Run the server until SIGINT or SIGTERM; return the exit code of its process.

    Raise `StartupError` when it cannot start.
    """
    from outrider.server.envoy import EnvoyServer  # noqa: PLC0415 - a worker has no use for Envoy
    from outrider.server.supervisor import Supervisor  # noqa: PLC0415

    _keep_files_private()
    configure_logs(settings.log_level, settings.log_format)
    log_service_links(structlog.get_logger())
    with ExitStack() as stack:
        with as_startup_errors(settings):
            lock = stack.enter_context(lock_exclusive(settings.data_dir, announce))
        check_files(settings, structlog.get_logger())
        processes = 1 + settings.workers
        async with open_store(settings, announce=announce, processes=processes) as context:
            await prepare(settings, context, announce)
        environ = {**to_environ(settings), PARENT_VARIABLE: str(os.getpid())}
        supervisor = Supervisor(
            EnvoyServer(
                settings.data_dir, settings.host, settings.port, environ, keep_open=(lock,)
            ),
            settings.workers,
            environ,
            lock,
            settings.drain_delay,
            settings.drain_timeout,
            announce,
        )
        signals = _StopSignals(supervisor.stop, supervisor.stop)
        loop = asyncio.get_running_loop()
        # A program that starts a server for itself, as `outrider dev` does, may be killed.
        watch_parent(os.environ, lambda: loop.call_soon_threadsafe(supervisor.stop))
        await supervisor.run(lambda port: announce(f"listening on {_url(settings, port)}"))
        announce(
            "stopped immediately; running calls were cut off" if signals.exit_code else "stopped"
        )
        return signals.exit_code


async def run_worker(settings: Settings, *, announce: Callable[[str], None]) -> int:
    """Deliver until SIGINT or SIGTERM, or until the server that started it has ended.

    Return the exit code of the process.
    """
    _keep_files_private()
    configure_logs(settings.log_level, settings.log_format)
    name_process(f"worker-{os.getpid()}")
    if PARENT_VARIABLE not in os.environ:
        log_service_links(structlog.get_logger())
        check_files(settings, structlog.get_logger())
    if settings.postgres_url is not None:
        # It works on the database alone: nothing of a server's has to be on this machine.
        return await _deliver(settings, 0, announce)
    # A supervised worker holds the server's own lock.
    lock = nullcontext() if PARENT_VARIABLE in os.environ else lock_shared(settings.data_dir)
    with ExitStack() as stack:
        with as_startup_errors(settings):
            stack.enter_context(lock)
            node = stack.enter_context(reserve_node_number(settings.data_dir))
        return await _deliver(settings, node, announce)


async def _deliver(settings: Settings, node: int, announce: Callable[[str], None]) -> int:
    async with (
        open_store(settings, node=node, announce=announce) as context,
        _when_writable(settings, context),
        open_http_client(settings, settings.worker_concurrency) as client,
        open_maintenance(settings, context),
        sample_gauges(context.metrics, "worker"),
    ):
        context.metrics.clients.append(client)
        worker, rescuer = build_worker(settings, context, client)
        _collect_seldom()
        loop = asyncio.get_running_loop()
        orphaned = partial(worker.stop, within=_ORPHAN_DRAIN_S)
        watch_parent(os.environ, lambda: loop.call_soon_threadsafe(orphaned))
        signals = _StopSignals(worker.stop, partial(worker.stop, within=0))
        rescuing = asyncio.create_task(rescuer.run())
        announce(f"delivering, at most {settings.worker_concurrency} calls at the same time")
        try:
            await worker.run()
        finally:
            rescuing.cancel()
        return signals.exit_code


@asynccontextmanager
async def _when_writable(settings: Settings, context: AppContext) -> AsyncIterator[None]:
    # A worker of a server retries: its server reported the problem at its start.
    if PARENT_VARIABLE not in os.environ:
        with as_startup_errors(settings):
            await context.store.check_writable()
    yield


def build_worker(
    settings: Settings, context: AppContext, client: HttpClient, log: Any = None
) -> tuple[Worker, Rescuer]:
    """A worker, and the rescuer that runs with it."""
    is_own_log = log is None
    log = log or structlog.get_logger().bind()
    schedule, metrics = RetrySchedule(), DeliveryCollector(context.metrics.shared)
    worker = Worker(
        context.store,
        context.runtime,
        AttemptRunner(
            context.runtime,
            TargetClient(REQUEST_BUILDER, client, log),
            schedule,
            log,
            metrics,
            context.tracing,
            accepted_level=_accepted_level(settings, is_own_log=is_own_log),
        ),
        log,
        # Never used twice: a process number alone would come back after a restart.
        owner=f"{os.getpid()}-{secrets.token_hex(4)}",
        concurrency=settings.worker_concurrency,
        drain_timeout=settings.drain_timeout,
    )
    context.metrics.workers.append(worker)
    return worker, Rescuer(context.store, context.runtime, schedule, log, metrics=metrics)


def _accepted_level(settings: Settings, *, is_own_log: bool) -> Literal["debug", "info"] | None:
    if settings.log_attempts is LogAttempts.ALL:
        return "info"
    # What the log of the host program shows is not known here.
    shows_debug = settings.log_level is LogLevel.DEBUG or not is_own_log
    return "debug" if shows_debug else None


def _collect_seldom() -> None:
    # What is there now stays as long as the process, and a delivery leaves no cycles behind:
    # looking for some took 4 of 64 us that a delivery costs.
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def _keep_files_private() -> None:
    # SQLite makes its files as the umask says, and events may hold personal data.
    os.umask(0o077)


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


class _StopSignals:
    """SIGINT and SIGTERM, handled in the running loop: the first stops in order, a second immediately."""

    def __init__(self, stop: Callable[[], None], stop_at_once: Callable[[], None]) -> None:
        self.exit_code = 0
        """0 when it was stopped in order; otherwise what a shell reports of the second signal."""
        self._stop_at_once = stop_at_once
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, stop)

    def _stop(self, stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._hurry, number)
        stop()

    def _hurry(self, number: signal.Signals) -> None:
        self.exit_code = _SIGNALLED + number
        self._stop_at_once()
