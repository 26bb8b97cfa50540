"""ListExecutionFunctions, ListExecutionMethods and ListExecutionServices."""

from __future__ import annotations

import asyncio
import lzma
from collections.abc import Iterable

import pytest
from zitadel_catalogue import KEPT

from api.calls.matching import Like
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import webhook
from api.calls.table import Call, Caller, Row
from outrider.cli.catalogue.descriptor_set import read_descriptor_set

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 200
DIRECTIONS = ("request", "response")
ANYBODY = (Caller.ADMIN, Caller.VIEWER, Caller.PUBLISHER, Caller.ORG_OWNER, Caller.ROLELESS)


def ascending_with(*some: str) -> Like:
    """A sorted list without repetition that has these."""
    return Like(
        f"a sorted list with {some}",
        lambda names: sorted(set(names)) == names and set(some) <= set(names),
    )


FUNCTIONS = {"functions": ["preuserinfo", "preaccesstoken", "presamlresponse"]}
METHODS = {
    "methods": ascending_with(
        "/grpc.health.v1.Health/Check",
        "/zitadel.action.v2.ActionService/ActivatePublicKey",
        "/zitadel.action.v2beta.ActionService/CreateTarget",
        "/zitadel.session.v2.SessionService/ListSessions",
        "/zitadel.webkey.v2.WebKeyService/CreateWebKey",
    )
}
SERVICES = {
    "services": ascending_with(
        "grpc.reflection.v1.ServerReflection",
        "zitadel.admin.v1.AdminService",
        "zitadel.session.v2.SessionService",
        "zitadel.user.v2beta.UserService",
    )
}
ANSWERS = {
    "ListExecutionFunctions": FUNCTIONS,
    "ListExecutionMethods": METHODS,
    "ListExecutionServices": SERVICES,
}
ROWS = [
    Row(f"{rpc} for {caller}", Call(rpc, {}, caller), expected)
    for rpc, expected in ANSWERS.items()
    for caller in ANYBODY
]


@each_row(ROWS)
async def test_the_catalogue(service: Service, row: Row):
    """
    Forms are filled from these lists. Any valid token will do, and the order is ZITADEL's.
    """
    await check(service, row)


async def test_what_is_listed_can_be_set(service: Service):
    """
    An empty list of targets asks whether the condition exists, and changes nothing.
    """
    functions = (await service.ask("ListExecutionFunctions", {}))["functions"]
    services = (await service.ask("ListExecutionServices", {}))["services"]
    conditions = [
        *({"function": {"name": function}} for function in functions),
        *({direction: {"service": name}} for name in services for direction in DIRECTIONS),
        *({direction: {"all": True}} for direction in DIRECTIONS),
    ]
    answers = {
        (await service.ask("SetExecution", {"condition": condition}))["setDate"]
        for condition in conditions
    }

    assert {"0001-01-01T00:00:00Z"} == answers


async def test_every_method_of_zitadel_can_be_bound(service: Service):
    """
    v1, v2beta and v2: what ZITADEL's clients configure for its server, they configure here.
    """
    methods = (await service.ask("ListExecutionMethods", {}))["methods"]
    services = (await service.ask("ListExecutionServices", {}))["services"]
    known = set(methods_of_zitadel())
    target = (await service.ask("CreateTarget", webhook(name="every method")))["id"]
    conditions = [
        {direction: {"method": method}} for method in sorted(known) for direction in DIRECTIONS
    ]
    # Concurrently, as a client with many of them does: the server commits them in groups.
    for start in range(0, len(conditions), AT_ONCE):
        await asyncio.gather(
            *(
                service.ask("SetExecution", {"condition": condition, "targets": [target]})
                for condition in conditions[start : start + AT_ONCE]
            )
        )
    bound = []
    for offset in range(0, len(conditions), 1000):
        page = {"pagination": {"limit": 1000, "offset": offset}}
        filters = {"filters": [{"targetFilter": {"targetId": target}}]}
        answer = await service.ask("ListExecutions", {**page, **filters})
        bound += [execution["condition"] for execution in answer["executions"]]
    await service.ask("DeleteTarget", {"id": target})

    assert 899 == len(known)
    assert known == {method for method in methods if method.startswith("/zitadel.")}
    assert sorted(methods) == methods
    assert {method.split("/")[1] for method in methods} <= set(services)
    assert sorted(map(str, conditions)) == sorted(map(str, bound))


def methods_of_zitadel() -> Iterable[str]:
    """The methods of the descriptor set that the catalogue is made of."""
    return read_descriptor_set(lzma.decompress(KEPT.read_bytes())).methods
