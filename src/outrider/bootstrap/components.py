"""Way 3 wired: what runs requests, responses and functions through their targets."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from outrider.bootstrap.app_context import AppContext, registered_catalogue
from outrider.bootstrap.http_client import REQUEST_BUILDER, open_http_client
from outrider.config.loading import Settings
from outrider.observability.collectors import InterceptionCollector
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.interception.enqueuer import DeliveryEnqueuer
from outrider.usecases.interception.intercept import Interceptions
from outrider.usecases.interception.target_chain import TargetChain
from outrider.usecases.routing.explain import Explain
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import ResolvedTargetCache
from outrider.usecases.targets.sample_call import TestTarget
from outrider.worker.cleaner import Cleaner, RetentionPeriods


@dataclass(frozen=True, slots=True)
class InterceptionComponents:
    """What calls targets while somebody waits, and what says whom it would call."""

    interceptions: Interceptions
    explain: Explain
    test_target: TestTarget


@asynccontextmanager
async def open_interceptions(
    settings: Settings, opened: AppContext, routing: Routing, log: Any
) -> AsyncIterator[InterceptionComponents]:
    """Everything that calls targets outside of deliveries; it ends before the store does."""
    store, runtime = opened.store, opened.runtime
    enqueuer = DeliveryEnqueuer(store, runtime, log)
    metrics = InterceptionCollector(opened.counting.meter)
    async with open_http_client(settings, settings.worker_concurrency) as http_client:
        opened.counting.callers.append(http_client)
        target_client = TargetClient(REQUEST_BUILDER, http_client, log)
        interceptions = Interceptions(
            routing,
            ResolvedTargetCache(store, routing),
            TargetChain(runtime, target_client, Bulkheads(), log, metrics, opened.tracing),
            enqueuer,
            settings.intercept_timeout,
        )
        test_target = TestTarget(store, runtime, routing, target_client)
        try:
            yield InterceptionComponents(
                interceptions, Explain(store, runtime, routing), test_target
            )
        finally:
            await enqueuer.aclose()


# A change made by another process is routed within this time.
_REFRESH_EVERY_S = 0.5


@asynccontextmanager
async def open_routing(opened: AppContext, log: Any) -> AsyncIterator[Routing]:
    """Routing of all instances, kept up to date while the block lasts."""
    routing = Routing(opened.store, registered_catalogue())
    await routing.refresh()
    following = asyncio.create_task(_follow(routing, log))
    try:
        yield routing
    finally:
        following.cancel()


async def _follow(routing: Routing, log: Any) -> None:
    """Notice what other processes change: workers' commits move the same number, so ask always."""
    while True:
        await asyncio.sleep(_REFRESH_EVERY_S)
        try:
            await routing.refresh()
        except Exception:
            log.exception("routing.refresh_failed")


@asynccontextmanager
async def open_maintenance(
    settings: Settings, opened: AppContext, log: Any = None
) -> AsyncIterator[None]:
    """Count and forget as long as it is open; of all that are open on a store one does."""
    cleaner = Cleaner(
        opened.store,
        opened.runtime,
        RetentionPeriods(
            delivered=timedelta(seconds=settings.retention_delivered),
            dead=timedelta(seconds=settings.retention_dead),
            events=timedelta(seconds=settings.retention_events),
        ),
        log or structlog.get_logger().bind(),
        # Never used twice: a process number alone would come back after a restart.
        owner=f"{os.getpid()}-{secrets.token_hex(4)}",
    )
    sweeping = asyncio.create_task(cleaner.run())
    try:
        yield
    finally:
        sweeping.cancel()
