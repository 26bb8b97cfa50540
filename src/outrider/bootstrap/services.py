"""Wire every service of the API: its handlers and their use cases on an open store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from outrider.adapters.crypto.jose import KeyPairs
from outrider.adapters.crypto.jwt import AccountKeyPairs
from outrider.adapters.crypto.public_keys import read_public_key
from outrider.adapters.http.connect.tls import check_tls
from outrider.adapters.json_schema import JsonSchemas
from outrider.adapters.tunnel.unix_socket import UnixTunnelSockets
from outrider.api.asgi.shutdown import Shutdown
from outrider.api.asgi.types import App
from outrider.api.direct.app import DirectCalls
from outrider.api.direct.events import DirectPublish
from outrider.api.direct.interceptions import DirectFunction, DirectRequest, DirectResponse
from outrider.api.endpoints.grpc_health import grpc_health
from outrider.api.endpoints.health import Ready
from outrider.api.endpoints.reflection import reflection
from outrider.api.rpc.interceptors import CallReporter
from outrider.api.rpc.service import Service, serve
from outrider.api.rpc.telemetry import Telemetry
from outrider.api.services.outrider.accounts import AccountHandlers
from outrider.api.services.outrider.catalogue import CatalogueHandlers
from outrider.api.services.outrider.deliveries import DeliveryHandlers
from outrider.api.services.outrider.events import EventHandlers
from outrider.api.services.outrider.executions import ExecutionDetailHandlers
from outrider.api.services.outrider.instances import InstanceHandlers
from outrider.api.services.outrider.interceptions import InterceptionHandlers
from outrider.api.services.outrider.policies import TargetPolicyHandlers
from outrider.api.services.outrider.tunnels import TunnelHandlers
from outrider.api.services.zitadel.actions import ActionHandlers
from outrider.api.services.zitadel.executions import ExecutionHandlers
from outrider.api.services.zitadel.public_keys import PublicKeyHandlers
from outrider.api.services.zitadel.targets import TargetHandlers
from outrider.api.services.zitadel.v2beta import BetaActionHandlers, BetaWebKeyHandlers
from outrider.api.services.zitadel.web_keys import WebKeyHandlers
from outrider.bootstrap.app_context import AppContext, egress_policy, registered_schemas
from outrider.bootstrap.components import InterceptionComponents
from outrider.config.loading import Settings
from outrider.domain.access.instance import host_of
from outrider.observability.collectors import PublishCollector
from outrider.usecases.access.accounts import ManageAccounts
from outrider.usecases.access.authenticate import Authenticate
from outrider.usecases.access.instances import ManageInstances
from outrider.usecases.access.tokens import ManageTokens
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider.usecases.delivery.deliveries import CancelDelivery, CountDeliveries, FindDeliveries
from outrider.usecases.delivery.open_deliveries import CancelDeliveries, RetryDeliveries
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.delivery.replays import ReplayDeliveries
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
from outrider_api.outrider.v1 import execution_service_connect as execution
from outrider_api.outrider.v1 import instance_service_connect as instance
from outrider_api.outrider.v1 import interception_service_connect as interception
from outrider_api.outrider.v1 import target_policy_service_connect as policy
from outrider_api.outrider.v1 import tunnel_service_connect as tunnel
from outrider_api.zitadel.action.v2 import action_service_connect as action
from outrider_api.zitadel.action.v2beta import action_service_connect as beta_action
from outrider_api.zitadel.webkey.v2 import webkey_service_connect as web_key
from outrider_api.zitadel.webkey.v2beta import webkey_service_connect as beta_web_key

# Each row: the generated application, its service, the handlers that answer.
_Rows = tuple[tuple[Any, Any, Any], ...]


def new_services(
    settings: Settings,
    context: AppContext,
    routing: Routing,
    *,
    interceptions: InterceptionComponents,
    authenticate: Authenticate,
    ready: Ready,
    shutdown: Shutdown,
    log: Any,
    telemetry: Telemetry,
) -> Sequence[Service]:
    """Every service, with the health of all of them, and reflection about all of them."""
    rows = (
        *_zitadel_rows(settings, context, routing),
        *_delivery_rows(context, routing),
        *_access_rows(settings, context, routing, authenticate),
        *_target_rows(context, routing, interceptions),
        (
            tunnel.TunnelServiceASGIApplication,
            tunnel.TunnelService,
            TunnelHandlers(
                TunnelRegistry(UnixTunnelSockets(settings.data_dir), context.runtime),
                authenticate,
                shutdown.begun,
            ),
        ),
    )
    services = [
        serve(app, handlers, service.desc(), authenticate, log, telemetry=telemetry)
        for app, service, handlers in rows
    ]
    services.append(grpc_health(services, ready, authenticate, log, shutdown, telemetry=telemetry))
    return [
        *services,
        *reflection(services, authenticate, log, shutdown.begun, telemetry=telemetry),
    ]


def new_direct(
    publish: PublishEvents,
    components: InterceptionComponents,
    authenticate: Authenticate,
    reporter: CallReporter,
) -> Callable[[App], App]:
    """What answers the plain ones of the calls that come most often."""
    interceptions = components.interceptions
    calls = (
        DirectPublish(publish),
        DirectRequest(interceptions),
        DirectResponse(interceptions),
        DirectFunction(interceptions),
    )
    return lambda otherwise: DirectCalls(calls, authenticate, reporter, otherwise=otherwise)


def new_publish(context: AppContext, routing: Routing) -> PublishEvents:
    """The use case that takes events, with its metrics."""
    metrics = PublishCollector(context.metrics.shared)
    digest = context.store.secrets.digest
    return PublishEvents(context.store, context.runtime, routing, digest, metrics)


def _zitadel_rows(settings: Settings, context: AppContext, routing: Routing) -> _Rows:
    store, runtime = context.store, context.runtime
    refreshing_store = RefreshingStore(store, routing)
    targets = TargetHandlers(ManageTargets(store, runtime, routing, egress_policy(settings)))
    executions = ExecutionHandlers(ManageExecutions(store, runtime, routing))
    public_keys = PublicKeyHandlers(ManagePublicKeys(refreshing_store, runtime, read_public_key))
    web_keys = WebKeyHandlers(ManageWebKeys(refreshing_store, runtime, KeyPairs()))
    return (
        (
            action.ActionServiceASGIApplication,
            action.ActionService,
            ActionHandlers(targets, public_keys, executions),
        ),
        (
            beta_action.ActionServiceASGIApplication,
            beta_action.ActionService,
            BetaActionHandlers(targets, executions),
        ),
        (web_key.WebKeyServiceASGIApplication, web_key.WebKeyService, web_keys),
        (
            beta_web_key.WebKeyServiceASGIApplication,
            beta_web_key.WebKeyService,
            BetaWebKeyHandlers(web_keys),
        ),
    )


def _delivery_rows(context: AppContext, routing: Routing) -> _Rows:
    store, runtime = context.store, context.runtime
    deliveries = DeliveryHandlers(
        deliveries=FindDeliveries(store),
        replay=ReplayDeliveries(store, runtime),
        retry=RetryDeliveries(store, runtime),
        cancel=CancelDelivery(store, runtime),
        cancel_many=CancelDeliveries(store, runtime),
        count=CountDeliveries(store, runtime),
    )
    events = EventHandlers(new_publish(context, routing))
    return (
        (event.EventServiceASGIApplication, event.EventService, events),
        (delivery.DeliveryServiceASGIApplication, delivery.DeliveryService, deliveries),
    )


def _access_rows(
    settings: Settings, context: AppContext, routing: Routing, authenticate: Authenticate
) -> _Rows:
    store, runtime = context.store, context.runtime
    accounts = AccountHandlers(
        ManageAccounts(store, runtime, authenticate, AccountKeyPairs()),
        ManageTokens(store, runtime, authenticate),
    )
    default_hosts = frozenset({host_of(urlsplit(settings.external_url or "").netloc)})
    instances = InstanceHandlers(
        ManageInstances(
            store,
            runtime,
            routing,
            ManageWebKeys(store, runtime, KeyPairs()),
            authenticate,
            context.instance,
            default_hosts,
        )
    )
    return (
        (account.AccountServiceASGIApplication, account.AccountService, accounts),
        (instance.InstanceServiceASGIApplication, instance.InstanceService, instances),
    )


def _target_rows(
    context: AppContext, routing: Routing, interceptions: InterceptionComponents
) -> _Rows:
    store, runtime = context.store, context.runtime
    policies = TargetPolicyHandlers(
        ManageTargetPolicies(RefreshingStore(store, routing), runtime, check_tls),
        interceptions.test_target,
    )
    return (
        (
            catalogue.CatalogueServiceASGIApplication,
            catalogue.CatalogueService,
            CatalogueHandlers(ManageCatalogue(store, routing, JsonSchemas(), registered_schemas)),
        ),
        (
            interception.InterceptionServiceASGIApplication,
            interception.InterceptionService,
            InterceptionHandlers(interceptions.interceptions, interceptions.explain),
        ),
        (policy.TargetPolicyServiceASGIApplication, policy.TargetPolicyService, policies),
        (
            execution.ExecutionServiceASGIApplication,
            execution.ExecutionService,
            ExecutionDetailHandlers(ManageExecutions(store, runtime, routing)),
        ),
    )
