"""The API's process from the inside: what it opens, serves and closes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import structlog

from outrider.adapters.crypto.jose import KeyPairs
from outrider.adapters.crypto.jwt import AccountKeyPairs, Jwts
from outrider.adapters.crypto.public_keys import read_public_key
from outrider.adapters.http.connect.tls import check_tls
from outrider.adapters.tunnel.unix_socket import UnixTunnelSockets
from outrider.api.app import build_app, lifespan, serve
from outrider.api.asgi.types import App, Receive, Scope, Send
from outrider.api.endpoints.grpc_health import grpc_health
from outrider.api.endpoints.issuers import Issuers
from outrider.api.endpoints.jwks import PATH as JWKS_PATH
from outrider.api.endpoints.jwks import jwks
from outrider.api.endpoints.metrics import PATH as METRICS_PATH
from outrider.api.endpoints.metrics import Readers, metrics_page
from outrider.api.endpoints.oauth import DISCOVERY_PATH, TOKEN_PATH, discovery, token_endpoint
from outrider.api.endpoints.reflection import reflection
from outrider.api.endpoints.relay import PREFIX as RELAY_PREFIX
from outrider.api.endpoints.relay import relay_endpoint
from outrider.api.rpc.auth import BearerAuth
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.router import Service
from outrider.api.rpc.telemetry import Telemetry
from outrider.api.services.outrider.accounts import AccountHandlers
from outrider.api.services.outrider.catalogue import CatalogueHandlers
from outrider.api.services.outrider.deliveries import DeliveryHandlers
from outrider.api.services.outrider.events import EventHandlers
from outrider.api.services.outrider.instances import InstanceHandlers
from outrider.api.services.outrider.interceptions import InterceptionHandlers
from outrider.api.services.outrider.policies import TargetPolicyHandlers
from outrider.api.services.outrider.tunnels import TunnelHandlers
from outrider.api.services.zitadel.actions import ActionHandlers
from outrider.api.services.zitadel.v2beta import BetaActionHandlers
from outrider.api.services.zitadel.web_keys import BetaWebKeyHandlers, WebKeyHandlers
from outrider.bootstrap.app_context import (
    AppContext,
    bootstrap_secret,
    egress_policy,
    open_store,
)
from outrider.bootstrap.components import InterceptionComponents, open_interceptions, open_routing
from outrider.bootstrap.external_tokens import open_external_tokens
from outrider.bootstrap.relay import open_relay
from outrider.bootstrap.telemetry import open_rpc_metrics, sample_gauges
from outrider.config.loading import Settings, from_environ
from outrider.domain.access.instance import host_of
from outrider.observability.collectors import PublishCollector, RpcCollector
from outrider.observability.logging_setup import configure_logs, name_process
from outrider.observability.scrape import Scrape
from outrider.server.drain_pipe import watch_drain
from outrider.server.parent_watch import watch_parent
from outrider.usecases.access.access_tokens import AccessTokens
from outrider.usecases.access.accounts import ManageAccounts
from outrider.usecases.access.external_tokens import ExternalTokens
from outrider.usecases.access.grants import Grants
from outrider.usecases.access.instances import InstanceResolver, ManageInstances
from outrider.usecases.access.tokens import Authenticate, ManageTokens
from outrider.usecases.access.web_keys import ManageWebKeys, UseWebKeys
from outrider.usecases.delivery.deliveries import CancelDelivery, CountDeliveries, FindDeliveries
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.delivery.replays import ReplayDeliveries
from outrider.usecases.delivery.store_stats import StoreStats
from outrider.usecases.routing.catalogue import ManageCatalogue
from outrider.usecases.routing.executions import ManageExecutions
from outrider.usecases.routing.refreshing_store import RefreshingStore
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.targets.policies import ManageTargetPolicies
from outrider.usecases.targets.public_keys import ManagePublicKeys
from outrider.usecases.targets.targets import ManageTargets
from outrider.usecases.targets.tunnels import TunnelRegistry
from outrider_api.outrider.v1 import account_service_connect as account
from outrider_api.outrider.v1 import catalogue_service_connect as catalogue
from outrider_api.outrider.v1 import delivery_service_connect as delivery
from outrider_api.outrider.v1 import event_service_connect as event
from outrider_api.outrider.v1 import instance_service_connect as instance
from outrider_api.outrider.v1 import interception_service_connect as interception
from outrider_api.outrider.v1 import target_policy_service_connect as policy
from outrider_api.outrider.v1 import tunnel_service_connect as tunnel
from outrider_api.zitadel.action.v2 import action_service_connect as action
from outrider_api.zitadel.action.v2beta import action_service_connect as beta_action
from outrider_api.zitadel.webkey.v2 import webkey_service_connect as web_key
from outrider_api.zitadel.webkey.v2beta import webkey_service_connect as beta_web_key


class ApiProcess:
    """The ASGI application of one process: opens its parts when the server starts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._settings = from_environ(environ)
        self._stack = AsyncExitStack()
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send, self._start, self._stack.aclose)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _start(self) -> None:
        # The process cannot be asked to stop in order by a parent that is gone.
        watch_parent(os.environ, lambda: os._exit(1))
        configure_logs(self._settings.log_level, self._settings.log_format)
        name_process("api")
        stopping = asyncio.Event()
        watch_drain(os.environ, stopping.set)
        opened = await self._stack.enter_async_context(open_store(self._settings))
        self._app = await self._stack.enter_async_context(
            open_api(self._settings, opened, stopping)
        )
        await self._stack.enter_async_context(sample_gauges(opened.metrics, "api"))


@asynccontextmanager
async def open_api(
    settings: Settings,
    opened: AppContext,
    stopping: asyncio.Event | None = None,
    *,
    routing: Routing | None = None,
    log: Any = None,
) -> AsyncIterator[App]:
    """The whole API on an open store; its routing follows the store while it is open.

    Once `stopping` is set it says that it is not ready, and streams that never end by themselves
    end. `routing` is one that somebody else keeps up to date.
    """
    stopping = stopping or asyncio.Event()
    log = log or structlog.get_logger().bind()
    async with (
        nullcontext(routing) if routing else open_routing(opened, log) as routes,
        open_external_tokens(settings, opened, log) as external,
        open_interceptions(settings, opened, routes, log) as intercepting,
        open_relay(settings, opened, _publish(opened, routes), log) as relay,
        AsyncExitStack() as stack,
    ):
        choose = InstanceResolver(routes, opened.instance)
        issuers = Issuers(choose, opened.instance, settings.external_url or "")
        check = _authenticate(settings, opened, external)
        rpcs = RpcCollector()
        services = _services(
            settings,
            opened,
            routes,
            log,
            stopping,
            check=check,
            intercepting=intercepting,
            rpcs=rpcs,
        )
        if (rpc_metrics := open_rpc_metrics(opened.metrics, rpcs, services)) is not None:
            stack.callback(rpc_metrics.close)
        yield build_app(
            services,
            ready=_ready(opened, stopping),
            log=log,
            mounts={
                JWKS_PATH: jwks(lambda name: UseWebKeys(opened.store).published(choose(name))),
                DISCOVERY_PATH: discovery(issuers),
                TOKEN_PATH: token_endpoint(Grants(_access_tokens(settings, opened)), issuers, log),
                RELAY_PREFIX: relay_endpoint(relay, log),
                METRICS_PATH: _metrics(settings, opened, routes, BearerAuth(check, choose), log),
            },
        )


def _services(
    settings: Settings,
    opened: AppContext,
    routing: Routing,
    log: Any,
    stopping: asyncio.Event,
    *,
    check: Authenticate,
    intercepting: InterceptionComponents,
    rpcs: RpcCollector,
) -> Sequence[Service]:
    auth = BearerAuth(check, InstanceResolver(routing, opened.instance))
    own = _own_rows(opened, routing, check, intercepting)
    instances = _instances(settings, opened, routing, check)
    rows = (
        *_zitadel_rows(settings, opened, routing),
        *own,
        (instance.InstanceServiceASGIApplication, instance.InstanceService, instances),
        (
            tunnel.TunnelServiceASGIApplication,
            tunnel.TunnelService,
            TunnelHandlers(
                TunnelRegistry(UnixTunnelSockets(settings.data_dir), opened.runtime), auth, stopping
            ),
        ),
    )
    told = Telemetry(rpcs) if opened.tracing is None else Telemetry(rpcs, opened.tracing)
    services = [
        serve(app, handlers, service.desc(), auth, log, telemetry=told)
        for app, service, handlers in rows
    ]
    ready = _ready(opened, stopping)
    services.append(grpc_health(services, ready, auth, log, stopping, telemetry=told))
    return [*services, *reflection(services, auth, log, stopping, telemetry=told)]


# Each row: the generated application, its service, who answers.
_Rows = tuple[tuple[Any, Any, Any], ...]


def _zitadel_rows(settings: Settings, opened: AppContext, routing: Routing) -> _Rows:
    store, runtime = opened.store, opened.runtime
    targets = ManageTargets(store, runtime, routing, egress_policy(settings))
    followed = RefreshingStore(store, routing)
    public_keys = ManagePublicKeys(followed, runtime, read_public_key)
    executions = ManageExecutions(store, runtime, routing)
    actions = ActionHandlers(targets, public_keys, executions)
    web_keys = WebKeyHandlers(ManageWebKeys(followed, runtime, KeyPairs()))
    return (
        (action.ActionServiceASGIApplication, action.ActionService, actions),
        (
            beta_action.ActionServiceASGIApplication,
            beta_action.ActionService,
            BetaActionHandlers(actions),
        ),
        (web_key.WebKeyServiceASGIApplication, web_key.WebKeyService, web_keys),
        (
            beta_web_key.WebKeyServiceASGIApplication,
            beta_web_key.WebKeyService,
            BetaWebKeyHandlers(web_keys),
        ),
    )


def _own_rows(
    opened: AppContext, routing: Routing, check: Authenticate, intercepting: InterceptionComponents
) -> _Rows:
    store, runtime = opened.store, opened.runtime
    publish = _publish(opened, routing)
    return (
        (event.EventServiceASGIApplication, event.EventService, EventHandlers(publish)),
        (
            delivery.DeliveryServiceASGIApplication,
            delivery.DeliveryService,
            DeliveryHandlers(
                FindDeliveries(store),
                ReplayDeliveries(store, runtime),
                CancelDelivery(store, runtime),
                CountDeliveries(store, runtime),
            ),
        ),
        (
            account.AccountServiceASGIApplication,
            account.AccountService,
            _accounts(opened, check),
        ),
        (
            catalogue.CatalogueServiceASGIApplication,
            catalogue.CatalogueService,
            CatalogueHandlers(ManageCatalogue(store, routing)),
        ),
        (
            interception.InterceptionServiceASGIApplication,
            interception.InterceptionService,
            InterceptionHandlers(intercepting.interceptions, intercepting.explain),
        ),
        (
            policy.TargetPolicyServiceASGIApplication,
            policy.TargetPolicyService,
            TargetPolicyHandlers(
                ManageTargetPolicies(RefreshingStore(store, routing), runtime, check_tls),
                intercepting.test_target,
            ),
        ),
    )


def _instances(
    settings: Settings, opened: AppContext, routing: Routing, check: Authenticate
) -> InstanceHandlers:
    store, runtime = opened.store, opened.runtime
    web_keys = ManageWebKeys(store, runtime, KeyPairs())
    own = frozenset({host_of(urlsplit(settings.external_url or "").netloc)})
    return InstanceHandlers(
        ManageInstances(store, runtime, routing, web_keys, check, opened.instance, own)
    )


def _authenticate(
    settings: Settings, opened: AppContext, external: ExternalTokens | None
) -> Authenticate:
    return Authenticate(
        opened.store,
        opened.runtime,
        opened.instance,
        bootstrap_secret(settings),
        _access_tokens(settings, opened),
        external,
    )


def _accounts(opened: AppContext, check: Authenticate) -> AccountHandlers:
    store, runtime = opened.store, opened.runtime
    accounts = ManageAccounts(store, runtime, check, AccountKeyPairs())
    return AccountHandlers(ManageTokens(store, runtime, check), accounts)


def _access_tokens(settings: Settings, opened: AppContext) -> AccessTokens:
    return AccessTokens(
        opened.store, opened.runtime, opened.instance, Jwts(), settings.external_url or ""
    )


def _publish(opened: AppContext, routing: Routing) -> PublishEvents:
    metrics = PublishCollector(opened.metrics.shared)
    return PublishEvents(opened.store, opened.runtime, routing, metrics)


def _metrics(
    settings: Settings, opened: AppContext, routing: Routing, auth: BearerAuth, log: Any
) -> App:
    stats = StoreStats(opened.store, opened.runtime, opened.instance)
    scrape = Scrape(stats, opened.runtime, routing, opened.metrics)
    admit = None if settings.metrics_public else Readers(auth, opened.instance)
    return metrics_page(scrape, admit, ErrorMapper(log))


def _ready(opened: AppContext, stopping: asyncio.Event) -> Any:
    async def ready() -> str | None:
        if stopping.is_set():
            return "the server is stopping"
        await opened.store.read(lambda unit: unit.routing_revision())
        return None

    return ready
