"""The use cases on the memory store, with a clock that stands still."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from fakes.memory.store import MemoryStore
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.routing.catalogue import Catalogue, catalogue_from_json
from outrider.runtime import Runtime
from outrider.usecases.access.authenticate import Authenticate
from outrider.usecases.access.tokens import ManageTokens
from outrider.usecases.delivery.deliveries import FindDeliveries
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.ports.store import Store
from outrider.usecases.routing.executions import ManageExecutions
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.targets.targets import ManageTargets
from support.builders import DIGEST
from support.runtime import FixedClock, fixed_runtime
from usecases.access.hosts import instance_at

REGISTERED = catalogue_from_json(
    json.loads(files("outrider").joinpath("catalogue.json").read_text(encoding="utf-8"))
)


@pytest.fixture
def registered() -> Catalogue:
    return REGISTERED


@pytest.fixture
def store() -> Store:
    return MemoryStore()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def runtime(clock) -> Runtime:
    return fixed_runtime(clock)


@pytest.fixture
async def routing(store, registered) -> Routing:
    routing = Routing(store, registered)
    await routing.refresh()
    return routing


@pytest.fixture
def targets(store, runtime, routing) -> ManageTargets:
    return ManageTargets(store=store, runtime=runtime, routing=routing, egress=EgressPolicy())


@pytest.fixture
def executions(store, runtime, routing) -> ManageExecutions:
    return ManageExecutions(store=store, runtime=runtime, routing=routing)


@pytest.fixture
def publish(store, runtime, routing) -> PublishEvents:
    return PublishEvents(store=store, runtime=runtime, routing=routing, digest=DIGEST)


@pytest.fixture
def deliveries(store) -> FindDeliveries:
    return FindDeliveries(store)


@pytest.fixture
def authenticate(store, runtime) -> Authenticate:
    return Authenticate(store=store, runtime=runtime, resolve_instance=instance_at)


@pytest.fixture
def tokens(store, runtime, authenticate) -> ManageTokens:
    return ManageTokens(store=store, runtime=runtime, authenticate=authenticate)
