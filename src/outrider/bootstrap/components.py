"""Parts that several processes share: interceptions, routing and maintenance."""

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

from outrider.adapters.json_schema import JsonSchemas
from outrider.bootstrap.app_context import AppContext, registered_catalogue, registered_schemas
from outrider.bootstrap.http_client import REQUEST_BUILDER, open_http_client
from outrider.config.loading import Settings
from outrider.observability.collectors import InterceptionCollector
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.interception.enqueuer import DeliveryEnqueuer
from outrider.usecases.interception.intercept import Interceptions
from outrider.usecases.interception.target_chain import TargetChain
from outrider.usecases.routing.explain import Explain
from outrider.usecases.routing.method_schemas import MethodSchemas
from outrider.usecases.routing.route_refresher import RouteRefresher
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import ResolvedTargetCache
from outrider.usecases.targets.sample_call import TestTarget
from outrider.worker.cleaner import Cleaner, RetentionPeriods


@dataclass(frozen=True, slots=True)
class InterceptionComponents:
    """The use cases that call targets while a caller waits, or say which they would call."""

    interceptions: Interceptions
    explain: Explain
    test_target: TestTarget


@asynccontextmanager
async def open_interceptions(
    settings: Settings, context: AppContext, routing: Routing, log: Any
) -> AsyncIterator[InterceptionComponents]:
    """Everything that calls targets outside of deliveries; it ends before the store does."""
    store, runtime = context.store, context.runtime
    enqueuer = DeliveryEnqueuer(store, runtime, log)
    metrics = InterceptionCollector(context.metrics.shared)
    async with open_http_client(settings, settings.worker_concurrency) as client:
        context.metrics.clients.append(client)
        target_client = TargetClient(REQUEST_BUILDER, client, log)
        chain = TargetChain(runtime, target_client, Bulkheads(), log, metrics, context.tracing)
        schemas = MethodSchemas(store, routing, JsonSchemas(), registered_schemas, log)
        interceptions = Interceptions(
            routing,
            ResolvedTargetCache(store, routing),
            chain,
            enqueuer,
            settings.intercept_timeout,
            schemas,
        )
        test_target = TestTarget(store, runtime, routing, chain, schemas)
        try:
            yield InterceptionComponents(
                interceptions, Explain(store, runtime, routing), test_target
            )
        finally:
            await enqueuer.aclose()


@asynccontextmanager
async def open_routing(context: AppContext, log: Any) -> AsyncIterator[Routing]:
    """Routing of all instances, kept up to date while the block lasts."""
    routing = Routing(context.store, registered_catalogue())
    await routing.refresh()
    refreshing = asyncio.create_task(RouteRefresher(routing, log).run())
    try:
        yield routing
    finally:
        refreshing.cancel()


@asynccontextmanager
async def open_maintenance(
    settings: Settings, context: AppContext, log: Any = None
) -> AsyncIterator[None]:
    """Roll up counts and delete what has expired; of all cleaners on a store one works at a time."""
    cleaner = Cleaner(
        context.store,
        context.runtime,
        RetentionPeriods(
            delivered=timedelta(seconds=settings.retention_delivered),
            dead=timedelta(seconds=settings.retention_dead),
            events=timedelta(seconds=settings.retention_events),
        ),
        log or structlog.get_logger().bind(),
        # Never used twice: a process number alone would come back after a restart.
        owner=f"{os.getpid()}-{secrets.token_hex(4)}",
    )
    cleaning = asyncio.create_task(cleaner.run())
    try:
        yield
    finally:
        cleaning.cancel()
