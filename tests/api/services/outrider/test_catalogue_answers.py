"""ListExecutionFunctions, ListExecutionMethods and ListExecutionServices."""

from __future__ import annotations

import pytest

from api.calls.matching import Like
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.table import Call, Caller, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
async def test_the_catalogue(service: Service, row: Row, wire: Wire):
    """
    Forms are filled from these lists. Any valid token will do, and the order is ZITADEL's.
    """
    await check(service, row, wire)


async def test_what_is_listed_can_be_set(service: Service):
    """
    An empty list of targets asks whether the condition exists, and changes nothing.
    """
    functions = (await service.ask("ListExecutionFunctions", {}))["functions"]
    methods = (await service.ask("ListExecutionMethods", {}))["methods"]
    services = (await service.ask("ListExecutionServices", {}))["services"]
    conditions = [
        *({"function": {"name": function}} for function in functions),
        *({"request": {"method": method}} for method in methods),
        *({"response": {"service": service}} for service in services),
    ]
    answers = {
        (await service.ask("SetExecution", {"condition": condition}))["setDate"]
        for condition in conditions
    }

    assert {"0001-01-01T00:00:00Z"} == answers
    assert {method.split("/")[1] for method in methods} <= set(services)
