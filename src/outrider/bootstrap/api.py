"""The API wired: the application of its process, and the application of one open store."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import structlog

from outrider.adapters.crypto.jwt import Jwts
from outrider.api.app import build_app
from outrider.api.asgi.lifespan import LifespanApp
from outrider.api.asgi.shutdown import Shutdown
from outrider.api.asgi.types import App
from outrider.api.asgi.unauthenticated import UnauthenticatedBodies
from outrider.api.endpoints.health import store_ready
from outrider.api.endpoints.issuers import Issuers
from outrider.api.endpoints.jwks import PATH as JWKS_PATH
from outrider.api.endpoints.jwks import jwks
from outrider.api.endpoints.metrics import PATH as METRICS_PATH
from outrider.api.endpoints.metrics import MetricsReaders, metrics_page
from outrider.api.endpoints.oauth import DISCOVERY_PATH, TOKEN_PATH, discovery, token_endpoint
from outrider.api.endpoints.relay import PREFIX as RELAY_PREFIX
from outrider.api.endpoints.relay import relay_endpoint
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.interceptors import CallReporter
from outrider.api.rpc.telemetry import Telemetry
from outrider.bootstrap.app_context import AppContext, bootstrap_secret, open_store
from outrider.bootstrap.components import open_interceptions, open_routing
from outrider.bootstrap.external_tokens import open_external_tokens
from outrider.bootstrap.relay import open_relay
from outrider.bootstrap.services import new_direct, new_publish, new_services
from outrider.bootstrap.telemetry import open_rpc_metrics, sample_gauges
from outrider.config.loading import Settings, from_environ
from outrider.observability.collectors import RpcCollector
from outrider.observability.logging_setup import configure_logs, name_process
from outrider.observability.scrape import Scrape
from outrider.server.drain_pipe import watch_drain
from outrider.server.parent_watch import watch_parent
from outrider.usecases.access.access_tokens import AccessTokens
from outrider.usecases.access.authenticate import Authenticate, InstanceResolver
from outrider.usecases.access.external_tokens import ExternalTokens
from outrider.usecases.access.grants import Grants
from outrider.usecases.access.web_keys import UseWebKeys
from outrider.usecases.delivery.store_stats import StoreStats
from outrider.usecases.routing.routing_table import Routing


def process_app(environ: Mapping[str, str]) -> App:
    """The application of the API's process; it opens everything when its server starts."""
    return LifespanApp(partial(_open_process, from_environ(environ)))


@asynccontextmanager
async def _open_process(settings: Settings) -> AsyncIterator[App]:
    # A parent that has ended cannot ask the process to stop in order.
    watch_parent(os.environ, lambda: os._exit(1))
    configure_logs(settings.log_level, settings.log_format)
    name_process("api")
    shutdown = Shutdown()
    watch_drain(os.environ, shutdown.announce, shutdown.begin)
    async with (
        open_store(settings) as context,
        open_api(settings, context, shutdown) as app,
        sample_gauges(context.metrics, "api"),
    ):
        yield app


@asynccontextmanager
async def open_api(
    settings: Settings,
    context: AppContext,
    shutdown: Shutdown | None = None,
    *,
    routing: Routing | None = None,
    log: Any = None,
) -> AsyncIterator[App]:
    """The whole API on an open store; its routing follows the store while it is open.

    `shutdown` tells it when it is not ready any more, and when streams that never end by themselves
    end. `routing` is one that its owner keeps up to date.
    """
    shutdown, log = shutdown or Shutdown(), log or structlog.get_logger().bind()
    ready = store_ready(context.store, shutdown)
    async with (
        nullcontext(routing) if routing else open_routing(context, log) as routes,
        open_external_tokens(settings, context, log) as external_tokens,
        open_interceptions(settings, context, routes, log) as interceptions,
        open_relay(settings, context, new_publish(context, routes), log) as relay,
        AsyncExitStack() as stack,
    ):
        resolve_instance = InstanceResolver(routes, context.instance)
        authenticate = _authenticate(settings, context, resolve_instance, external_tokens)
        rpcs = RpcCollector()
        reporter = CallReporter(log, ErrorMapper(log), _telemetry(context, rpcs))
        services = new_services(
            settings,
            context,
            routes,
            interceptions=interceptions,
            authenticate=authenticate,
            ready=ready,
            shutdown=shutdown,
            log=log,
            telemetry=reporter.telemetry,
        )
        if (rpc_metrics := open_rpc_metrics(context.metrics, rpcs, services)) is not None:
            stack.callback(rpc_metrics.close)
        issuers = Issuers(resolve_instance, context.instance, settings.external_url or "")
        bodies = UnauthenticatedBodies()
        web_keys = UseWebKeys(context.store)
        grants = Grants(_access_tokens(settings, context))
        yield build_app(
            services,
            ready=ready,
            log=log,
            direct=new_direct(new_publish(context, routes), interceptions, authenticate, reporter),
            mounts={
                JWKS_PATH: jwks(web_keys, resolve_instance),
                DISCOVERY_PATH: discovery(issuers, web_keys.algorithms),
                TOKEN_PATH: token_endpoint(grants, issuers, log, bodies),
                RELAY_PREFIX: relay_endpoint(relay, log, bodies),
                METRICS_PATH: _metrics(settings, context, routes, authenticate, log),
            },
        )


def _telemetry(context: AppContext, rpcs: RpcCollector) -> Telemetry:
    return Telemetry(rpcs) if context.tracing is None else Telemetry(rpcs, context.tracing)


def _authenticate(
    settings: Settings,
    context: AppContext,
    resolve_instance: InstanceResolver,
    external_tokens: ExternalTokens | None,
) -> Authenticate:
    return Authenticate(
        context.store,
        context.runtime,
        resolve_instance,
        bootstrap_secret(settings),
        _access_tokens(settings, context),
        external_tokens,
    )


def _access_tokens(settings: Settings, context: AppContext) -> AccessTokens:
    return AccessTokens(
        context.store, context.runtime, context.instance, Jwts(), settings.external_url or ""
    )


def _metrics(
    settings: Settings, context: AppContext, routing: Routing, authenticate: Authenticate, log: Any
) -> App:
    stats = StoreStats(context.store, context.runtime, context.instance)
    scrape = Scrape(stats, context.runtime, routing, context.metrics)
    readers = None if settings.metrics_public else MetricsReaders(authenticate, context.instance)
    return metrics_page(scrape, readers, ErrorMapper(log))
