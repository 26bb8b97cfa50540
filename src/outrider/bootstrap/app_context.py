"""What every process opens: the store with its secrets, and what is shipped as data."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from outrider.bootstrap.databases import Announce, OpenStore, as_startup_errors, open_database
from outrider.bootstrap.telemetry import open_process_metrics, open_tracing
from outrider.config.loading import Settings
from outrider.config.parsers import read_admin_token
from outrider.config.service_links import service_links
from outrider.domain.events.operator_event import OperatorEvent
from outrider.domain.ids import InstanceId
from outrider.domain.interception.proto_schema import ProtoSchemas, proto_schemas_from_json
from outrider.domain.net.egress_policy import EgressPolicy, parse_allow
from outrider.domain.net.proxy import Proxy, parse_proxy
from outrider.domain.routing.catalogue import Catalogue, catalogue_from_json
from outrider.errors import StartupError
from outrider.observability.collectors import StoreCollector
from outrider.observability.process_metrics import ProcessMetrics
from outrider.runtime import IdGenerator, Runtime, sonyflake_generator
from outrider.server.data_directory import ADMIN_TOKEN_FILE
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.tracing import Tracing


@dataclass(frozen=True, slots=True)
class AppContext:
    """An open store, the instance that it serves by default, and the runtime around it."""

    store: OpenStore
    instance: InstanceId
    runtime: Runtime
    metrics: ProcessMetrics = field(default_factory=ProcessMetrics, repr=False)
    tracing: Tracing | None = None


@asynccontextmanager
async def open_store(
    settings: Settings,
    *,
    node: int = 0,
    announce: Announce = lambda _: None,
    processes: int = 1,
    beside_tables: bool = False,
) -> AsyncIterator[AppContext]:
    """Open the store, its schema up to date. Identifiers of different nodes are never the same.

    `node` is this process's number among those on one data directory; a store of several nodes
    gives numbers itself. `announce` gets a sentence when the start has to wait. The database must
    have connections for so many `processes`; with `beside_tables` it is an application's. Raise `StartupError` for a wrong or lost master key,
    for a database that cannot be used or takes no writes, and for data of a newer release.
    """
    async with open_database(
        settings,
        now=Runtime().now(),
        announce=announce,
        processes=processes,
        beside_tables=beside_tables,
    ) as store:
        with as_startup_errors(settings):
            runtime = await asyncio.to_thread(_runtime, store, node)
            instance = await asyncio.to_thread(store.default_instance, runtime)
        with open_process_metrics(settings.data_dir) as metrics:
            store.watch_commits(StoreCollector(metrics.shared))
            yield AppContext(store, instance, runtime, metrics, open_tracing(runtime))


def _runtime(store: OpenStore, node: int) -> Runtime:
    number = node if store.node is None else store.node
    return Runtime(
        new_id=IdGenerator(node=number, floor=store.last_identifier()),
        new_sonyflake=sonyflake_generator(node=number, floor=store.last_sonyflake()),
    )


def log_service_links(log: Log) -> None:
    """Tell whom it may surprise that `OUTRIDER_PORT` of Kubernetes is not read as a setting."""
    names = service_links(os.environ)
    if names:
        log.debug("settings.ignored", names=names)


def registered_catalogue() -> Catalogue:
    """What ZITADEL registers, as shipped with this release, and the events of our own."""
    text = resources.files("outrider").joinpath("catalogue.json").read_text("utf-8")
    return catalogue_from_json(json.loads(text)).with_entries(event_types=[*OperatorEvent])


@cache
def registered_schemas() -> ProtoSchemas:
    """The message types of ZITADEL's methods, read when a method needs them first."""
    text = resources.files("outrider").joinpath("method_schemas.json").read_text("utf-8")
    return proto_schemas_from_json(json.loads(text))


def egress_policy(settings: Settings) -> EgressPolicy:
    """How far calls may reach."""
    return EgressPolicy(settings.egress_profile, parse_allow(settings.egress_allow))


def egress_proxy(settings: Settings) -> Proxy | None:
    """What calls go through, unless a target's policy says otherwise; None: nothing."""
    return parse_proxy(settings.egress_proxy) if settings.egress_proxy else None


def bootstrap_secret(settings: Settings) -> str:
    """The admin token: the setting, or what the first start wrote into the data directory.

    Raise `StartupError` when the file cannot be read or holds no token.
    """
    if settings.admin_token is not None:
        return settings.admin_token
    path = settings.data_dir / ADMIN_TOKEN_FILE
    try:
        return read_admin_token(path.read_text("ascii").strip())
    except OSError as failure:
        raise StartupError(f"{path}: {failure.strerror}") from None
    except ValueError:
        # No caller could use it, and everything else would look right.
        raise StartupError(
            f"{path} holds no token, or one that is easily guessed: delete it, and a new one is made"
        ) from None
