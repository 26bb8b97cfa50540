"""Interceptions on a memory store with real sockets: targets and executions are set as they come."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from adapters.http.certificates import Authority
from adapters.http.names import ALLOW_LOOPBACK, Names
from contracts.store.steps import add_targets
from fakes.memory.store import MemoryStore
from outrider.adapters.http.client import EgressClient
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.bootstrap.http_client import REQUEST_BUILDER
from outrider.domain.ids import TargetId
from outrider.domain.interception.message import JSON_OBJECTS, MessageType
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.routing.catalogue import catalogue_from_json
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.targets.policy import OnUnreachable, TargetPolicy
from outrider.domain.targets.target import Target, TargetType
from outrider.runtime import Runtime
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.interception.enqueuer import DeliveryEnqueuer
from outrider.usecases.interception.intercept import InterceptionResult, Interceptions
from outrider.usecases.interception.target_chain import TargetChain
from outrider.usecases.ports.http_client import HttpClient
from outrider.usecases.ports.store import Store
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import ResolvedTargetCache
from support.builders import INSTANCE, a_target, an_execution
from support.runtime import FixedClock, fixed_runtime
from worker.harness import LogRecorder

METHOD = "/zitadel.user.v2.UserService/AddHumanUser"
FUNCTION = "preuserinfo"
CALL = InterceptedCall(full_method=METHOD, org_id="2", user_id="4")
REGISTERED = catalogue_from_json(
    json.loads(files("outrider").joinpath("catalogue.json").read_text(encoding="utf-8"))
)
CONDITIONS = {
    "request": Condition(ConditionKind.REQUEST, Scope.METHOD, METHOD),
    "response": Condition(ConditionKind.RESPONSE, Scope.METHOD, METHOD),
    "function": Condition(ConditionKind.FUNCTION, Scope.NAME, FUNCTION),
}
KINDS = tuple(CONDITIONS)
MESSAGE = {"id": "1"}
_CALL = f'"fullMethod":"{METHOD}","instanceID":"{INSTANCE}","orgID":"2","userID":"4"'
EXPECTED_BODIES = {
    "request": f'{{{_CALL},"request":{{"id":"1"}}}}'.encode(),
    "response": f'{{{_CALL},"request":{{}},"response":{{"id":"1"}}}}'.encode(),
    "function": f'{{"function":"function/{FUNCTION}","id":"1"}}'.encode(),
}
"""What the targets of the one call get."""
LIMITS = ClientLimits()
LONG = 60.0


@cache
def authority() -> Authority:
    """The authority that our clients trust; to make its key takes a while."""
    return Authority()


@dataclass
class Harness:
    """What runs interceptions, and what it runs on."""

    store: Store
    http_client: HttpClient
    clock: FixedClock = field(default_factory=FixedClock)
    log: LogRecorder = field(default_factory=LogRecorder)
    longest: float = LONG

    def __post_init__(self) -> None:
        self.runtime: Runtime = fixed_runtime(self.clock)
        self.bulkheads = Bulkheads()
        self.routing = Routing(self.store, REGISTERED)
        self.resolved_targets = ResolvedTargetCache(self.store, self.routing)
        self.enqueuer = DeliveryEnqueuer(self.store, self.runtime, self.log)
        target_client = TargetClient(REQUEST_BUILDER, self.http_client, self.log)
        chain = TargetChain(self.runtime, target_client, self.bulkheads, self.log)
        self.interceptions = Interceptions(
            self.routing, self.resolved_targets, chain, self.enqueuer, self.longest
        )

    async def bind(self, condition: Condition | str, *targets: Target) -> None:
        """Add the targets, and an execution that calls them in this order."""
        if targets:
            await add_targets(self.store, *targets)
        await self.execute(condition, *(target.id for target in targets))

    async def execute(self, condition: Condition | str, *targets: str) -> None:
        """Set an execution."""
        found = CONDITIONS[condition] if isinstance(condition, str) else condition
        execution = an_execution(*targets, condition=found)
        await self.store.write(lambda unit: unit.executions.put(INSTANCE, execution))
        await self.routing.refresh()

    async def policy(self, target: str, **fields: Any) -> None:
        """Set the policy of a target."""
        policy = TargetPolicy(**fields)
        await self.store.write(
            lambda unit: unit.policies.put(INSTANCE, TargetId(target), policy, self.clock())
        )
        await self.routing.refresh()

    async def run(
        self,
        kind: str,
        message: Any = None,
        type_: MessageType[Any] = JSON_OBJECTS,
        *,
        call: InterceptedCall = CALL,
        seconds: float | None = None,
    ) -> InterceptionResult[Any]:
        """Run one request, response or function through its targets."""
        message = dict(MESSAGE) if message is None else message
        if kind == "function":
            return await self.interceptions.function(INSTANCE, FUNCTION, message, seconds=seconds)
        if kind == "request":
            return await self.interceptions.request(INSTANCE, call, message, type_, seconds=seconds)
        return await self.interceptions.response(
            INSTANCE, call, message, type_, request="{}", seconds=seconds
        )


@asynccontextmanager
async def open_harness(
    store: Store | None = None,
    *,
    names: Mapping[str, str] | None = None,
    resolver: Any = None,
    limits: ClientLimits = LIMITS,
    longest: float = LONG,
) -> AsyncIterator[Harness]:
    """A harness whose client may call loopback; afterwards nothing of any call may be left."""
    http_client = EgressClient(
        ALLOW_LOOPBACK,
        user_agent="outrider/test",
        limits=limits,
        resolver=resolver or Names(**(names or {})),
        ssl_context=authority().client_context(),
    )
    harness = Harness(store or MemoryStore(), http_client, longest=longest)
    await harness.routing.refresh()
    try:
        yield harness
    finally:
        await harness.enqueuer.aclose()
        await http_client.aclose()
    assert len(harness.bulkheads) == 0
    assert repr(http_client).endswith("[busy 0 | idle 0]>")


def call_target(endpoint: str, number: str = "101", *, seconds: float = 5.0, **fields) -> Target:
    """A rest_call target that interrupts, unless `fields` say otherwise."""
    given = {"type": TargetType.REST_CALL, "interrupt_on_error": True} | fields
    if given["type"] is TargetType.REST_ASYNC:
        given["interrupt_on_error"] = False
    return a_target(number, endpoint=endpoint, timeout=timedelta(seconds=seconds), **given)


def unreachable_policy(choice: str) -> dict[str, OnUnreachable]:
    """The field of a policy, by the name of the choice."""
    return {"on_unreachable": OnUnreachable[choice]}
