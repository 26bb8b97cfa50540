"""An engine inside another program: the parts of a server, in the loop of that program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from outrider.adapters.http.connect.tls import check_tls
from outrider.adapters.json_schema import JsonSchemas
from outrider.api.asgi.shutdown import Shutdown
from outrider.bootstrap.app_context import (
    AppContext,
    egress_policy,
    log_service_links,
    open_store,
    registered_schemas,
)
from outrider.bootstrap.components import (
    InterceptionComponents,
    open_interceptions,
    open_maintenance,
    open_routing,
)
from outrider.bootstrap.databases import as_startup_errors
from outrider.bootstrap.first_run import check_files, prepare
from outrider.bootstrap.http_client import open_http_client
from outrider.bootstrap.processes import build_worker
from outrider.bootstrap.telemetry import sample_gauges
from outrider.config.loading import Settings
from outrider.domain.access.permission import Actor, Role
from outrider.domain.ids import InstanceId
from outrider.errors import StartupError
from outrider.observability.collectors import PublishCollector
from outrider.server.data_directory import DataDirectoryLock, lock_for_engine
from outrider.usecases.access.authenticate import BOOTSTRAP_ACCOUNT
from outrider.usecases.delivery.deliveries import FindDeliveries
from outrider.usecases.delivery.open_deliveries import CancelDeliveries, RetryDeliveries
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.delivery.replays import ReplayDeliveries
from outrider.usecases.routing.catalogue import ManageCatalogue
from outrider.usecases.routing.executions import ManageExecutions
from outrider.usecases.routing.refreshing_store import RefreshingStore
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.targets.policies import ManageTargetPolicies
from outrider.usecases.targets.targets import ManageTargets

App = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineComponents:
    """The parts of an engine that is open. `actor` is the owner of the instance that it serves.

    `open_api` opens the whole API on the same store; it closes before the engine does.
    """

    context: AppContext
    actor: Actor
    routing: Routing
    interception: InterceptionComponents
    publish: PublishEvents
    targets: ManageTargets
    policies: ManageTargetPolicies
    executions: ManageExecutions
    catalogue: ManageCatalogue
    deliveries: FindDeliveries
    replay: ReplayDeliveries
    retry: RetryDeliveries
    cancel: CancelDeliveries
    open_api: Callable[[], AbstractAsyncContextManager[App]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine is besides its settings.

    `instance_host` chooses the instance by its host name; empty: the default one.
    """

    delivers: bool
    beside_engines: bool
    instance_host: str


@asynccontextmanager
async def open_engine(
    settings: Settings, options: EngineOptions, log: Any
) -> AsyncIterator[EngineComponents]:
    """Everything of a server but its port, in this loop. Leaving it lets running attempts end.

    Raise `StartupError` as a server does, and for a host name that no instance has.
    """
    async with AsyncExitStack() as stack:
        log_service_links(log)
        lock = await _lock_directory(stack, settings, options, log)
        check_files(settings, log)
        context = await stack.enter_async_context(
            open_store(settings, node=lock.node, beside_tables=True)
        )
        if lock.is_exclusive:
            await prepare(settings, context, lambda text: log.info("engine.prepared", note=text))
        await stack.enter_async_context(sample_gauges(context.metrics, "engine"))
        routing = await stack.enter_async_context(open_routing(context, log))
        instance = _instance(context, routing, options.instance_host)
        interception = await stack.enter_async_context(
            open_interceptions(settings, context, routing, log)
        )
        if options.delivers:
            await stack.enter_async_context(_deliver(settings, context, log))
        yield _components(
            settings, context, instance, routing=routing, interception=interception, log=log
        )


async def _lock_directory(
    stack: AsyncExitStack, settings: Settings, options: EngineOptions, log: Any
) -> DataDirectoryLock:
    """Lock the data directory in a thread: waiting for its holder to leave blocks no loop."""
    locking = lock_for_engine(
        settings.data_dir,
        lambda text: log.info("engine.waiting", note=text),
        beside_engines=options.beside_engines,
    )
    entering = asyncio.ensure_future(asyncio.to_thread(locking.__enter__))
    try:
        with as_startup_errors(settings):
            lock = await asyncio.shield(entering)
    except asyncio.CancelledError:
        # The thread cannot be stopped: the lock that it takes is released again.
        entering.add_done_callback(
            lambda done: done.exception() or locking.__exit__(None, None, None)
        )
        raise
    stack.push(locking)
    return lock


def _instance(context: AppContext, routing: Routing, host: str) -> InstanceId:
    if not host:
        return context.instance
    instance = routing.instance_at(host)
    if instance is None:
        raise StartupError(
            f"no instance has the host name {host}: make one with `outrider instance create`"
        )
    return instance


@asynccontextmanager
async def _deliver(settings: Settings, context: AppContext, log: Any) -> AsyncIterator[None]:
    async with (
        open_http_client(settings, settings.worker_concurrency) as client,
        open_maintenance(settings, context, log),
    ):
        context.metrics.clients.append(client)
        worker, rescuer = build_worker(settings, context, client, log)
        working = asyncio.create_task(worker.run())
        rescuing = asyncio.create_task(rescuer.run())
        try:
            yield
        finally:
            rescuing.cancel()
            worker.stop()
            # Where the loop has ended before the engine was closed, it has cancelled its tasks.
            if not working.cancelled():
                await working


def _components(
    settings: Settings,
    context: AppContext,
    instance: InstanceId,
    *,
    routing: Routing,
    interception: InterceptionComponents,
    log: Any,
) -> EngineComponents:
    store, runtime = context.store, context.runtime
    return EngineComponents(
        context=context,
        actor=Actor(instance, BOOTSTRAP_ACCOUNT, frozenset({Role.IAM_OWNER})),
        routing=routing,
        interception=interception,
        publish=PublishEvents(
            store, runtime, routing, store.secrets.digest, PublishCollector(context.metrics.shared)
        ),
        targets=ManageTargets(store, runtime, routing, egress_policy(settings)),
        policies=ManageTargetPolicies(RefreshingStore(store, routing), runtime, check_tls),
        executions=ManageExecutions(store, runtime, routing),
        catalogue=ManageCatalogue(store, routing, JsonSchemas(), registered_schemas),
        deliveries=FindDeliveries(store),
        replay=ReplayDeliveries(store, runtime),
        retry=RetryDeliveries(store, runtime),
        cancel=CancelDeliveries(store, runtime),
        open_api=lambda: _open_api(settings, context, routing, log),
    )


@asynccontextmanager
async def _open_api(
    settings: Settings, context: AppContext, routing: Routing, log: Any
) -> AsyncIterator[App]:
    # Most engines serve no API: its generated code takes as long to import as all the rest.
    from outrider.bootstrap.api import open_api  # noqa: PLC0415

    shutdown = Shutdown()
    async with open_api(settings, context, shutdown, routing=routing, log=log) as app:
        try:
            yield app
        finally:
            shutdown.begin()
