"""An engine inside another program: the parts of a server, in the loop of that program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from outrider.adapters.http.connect.tls import check_tls
from outrider.bootstrap.app_context import AppContext, egress_policy, open_store
from outrider.bootstrap.components import (
    InterceptionComponents,
    open_interceptions,
    open_maintenance,
    open_routing,
)
from outrider.bootstrap.first_run import prepare
from outrider.bootstrap.http_client import open_http_client
from outrider.bootstrap.processes import build_worker
from outrider.bootstrap.telemetry import sampled
from outrider.config.loading import Settings
from outrider.domain.access.permission import Actor, Role
from outrider.domain.ids import InstanceId
from outrider.errors import StartupError
from outrider.observability.collectors import PublishCollector
from outrider.server.data_directory import DataDirectoryLock, placed
from outrider.usecases.access.authenticate import BOOTSTRAP_ACCOUNT
from outrider.usecases.delivery.deliveries import FindDeliveries
from outrider.usecases.delivery.publish import PublishEvents
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

    opened: AppContext
    actor: Actor
    routing: Routing
    intercepting: InterceptionComponents
    publish: PublishEvents
    targets: ManageTargets
    policies: ManageTargetPolicies
    executions: ManageExecutions
    catalogue: ManageCatalogue
    deliveries: FindDeliveries
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
async def open_embedded(
    settings: Settings, wanted: EngineOptions, log: Any
) -> AsyncIterator[EngineComponents]:
    """Everything of a server but its port, in this loop. Leaving it lets running attempts end.

    Raise `StartupError` as a server does, and for a host name that no instance has.
    """
    async with AsyncExitStack() as stack:
        place = await _taken(stack, settings, wanted, log)
        opened = await stack.enter_async_context(open_store(settings, node=place.node))
        if place.is_alone:
            await prepare(settings, opened, lambda text: log.info("engine.prepared", note=text))
        await stack.enter_async_context(sampled(opened.counting, "engine"))
        routing = await stack.enter_async_context(open_routing(opened, log))
        instance = _instance(opened, routing, wanted.instance_host)
        intercepting = await stack.enter_async_context(
            open_interceptions(settings, opened, routing, log)
        )
        if wanted.delivers:
            await stack.enter_async_context(_delivering(settings, opened, log))
        yield _embedded(
            settings, opened, instance, routing=routing, intercepting=intercepting, log=log
        )


async def _taken(
    stack: AsyncExitStack, settings: Settings, wanted: EngineOptions, log: Any
) -> DataDirectoryLock:
    """Take a place at the data directory: waiting for who is about to leave it blocks no loop."""
    place = placed(
        settings.data_dir,
        lambda text: log.info("engine.waiting", note=text),
        beside_engines=wanted.beside_engines,
    )
    entering = asyncio.ensure_future(asyncio.to_thread(place.__enter__))
    try:
        taken = await asyncio.shield(entering)
    except asyncio.CancelledError:
        # The thread cannot be stopped: what it takes is let go again.
        entering.add_done_callback(
            lambda done: done.exception() or place.__exit__(None, None, None)
        )
        raise
    stack.push(place)
    return taken


def _instance(opened: AppContext, routing: Routing, host: str) -> InstanceId:
    if not host:
        return opened.instance
    instance = routing.instance_at(host)
    if instance is None:
        raise StartupError(
            f"no instance has the host name {host}: make one with `outrider instance create`"
        )
    return instance


@asynccontextmanager
async def _delivering(settings: Settings, opened: AppContext, log: Any) -> AsyncIterator[None]:
    async with (
        open_http_client(settings, settings.worker_concurrency) as caller,
        open_maintenance(settings, opened, log),
    ):
        opened.counting.callers.append(caller)
        worker, rescuer = build_worker(settings, opened, caller, log)
        working = asyncio.create_task(worker.run())
        rescuing = asyncio.create_task(rescuer.run())
        try:
            yield
        finally:
            rescuing.cancel()
            worker.stop()
            await working


def _embedded(
    settings: Settings,
    opened: AppContext,
    instance: InstanceId,
    *,
    routing: Routing,
    intercepting: InterceptionComponents,
    log: Any,
) -> EngineComponents:
    store, runtime = opened.store, opened.runtime
    return EngineComponents(
        opened=opened,
        actor=Actor(instance, BOOTSTRAP_ACCOUNT, frozenset({Role.IAM_OWNER})),
        routing=routing,
        intercepting=intercepting,
        publish=PublishEvents(store, runtime, routing, PublishCollector(opened.counting.meter)),
        targets=ManageTargets(store, runtime, routing, egress_policy(settings)),
        policies=ManageTargetPolicies(RefreshingStore(store, routing), runtime, check_tls),
        executions=ManageExecutions(store, runtime, routing),
        catalogue=ManageCatalogue(store, routing),
        deliveries=FindDeliveries(store),
        open_api=lambda: _open_api(settings, opened, routing, log),
    )


@asynccontextmanager
async def _open_api(
    settings: Settings, opened: AppContext, routing: Routing, log: Any
) -> AsyncIterator[App]:
    # Most engines serve no API: its generated code takes as long to import as all the rest.
    from outrider.bootstrap.api import open_api  # noqa: PLC0415

    stopping = asyncio.Event()
    async with open_api(settings, opened, stopping, routing=routing, log=log) as app:
        try:
            yield app
        finally:
            stopping.set()
