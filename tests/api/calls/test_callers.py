"""Who may call what: every method with every kind of caller."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from protobuf import DescMethod

from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.table import EVERY_WIRE, Call, Caller, ExpectedError, Row
from api.contract import METHODS, SERVICES
from api.wires import Wire, has_route
from outrider.api.rpc.interceptors import permission_of
from outrider_api.google.api import annotations_pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS = {"action.target.read", "action.execution.read", "iam.web_key.read", "delivery.read"}
PUBLISHES = {"event.write", "interception.call", "catalogue.write"}
# What a role may do besides calling what every token may call.
MAY: Mapping[Caller, set[str]] = {
    Caller.VIEWER: READS,
    Caller.PUBLISHER: PUBLISHES,
    Caller.ORG_OWNER: set(),
    Caller.ROLELESS: set(),
}
NO_PERMISSION = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NO_MEMBERSHIP = ExpectedError("not_found", "membership not found", "AUTHZ-cdgFk")
NO_HEADER = ExpectedError("unauthenticated", "auth header missing")
BAD_HEADER = ExpectedError("unauthenticated", "invalid auth header", "AUTH-toLo1")
BAD_TOKEN = ExpectedError("unauthenticated", "Errors.Token.Invalid", "AUTH-7fs1e")
STRANGERS = {
    Caller.NOBODY: NO_HEADER,
    Caller.OTHER_SCHEME: BAD_HEADER,
    Caller.LOWER_CASE: BAD_HEADER,
    Caller.UNKNOWN: BAD_TOKEN,
    Caller.EXPIRED: BAD_TOKEN,
    Caller.REVOKED: BAD_TOKEN,
}


def full_name(method: DescMethod) -> str:
    """`package.Service/Method`."""
    return f"{method.parent.type_name}/{method.name}"


def smallest(method: DescMethod) -> dict[str, str]:
    """A request that changes nothing: what REST has in its path, of things that do not exist."""
    if not has_route(method):
        return {}
    rule = method.proto.options[annotations_pb.ext_http]
    names = {field.name: field.json_name for field in method.input.fields}
    return {names[name]: "1" for name in re.findall(r"\{(\w+)\}", str(rule.pattern.value))}


def call(method: DescMethod, caller: Caller) -> Call:
    """That request."""
    return Call(full_name(method), smallest(method), caller)


def may(caller: Caller, method: DescMethod) -> bool:
    """Whether the table of roles allows it."""
    return permission_of(method) in {"authenticated", *MAY[caller]}


STRANGE = [
    Row(f"{full_name(method)} with {caller}", call(method, caller), error)
    for service in SERVICES
    for method in service.methods[:1]
    for caller, error in STRANGERS.items()
]
WITHOUT_HEADER = [
    Row(f"{full_name(method)} with no header", call(method, Caller.NOBODY), NO_HEADER)
    for method in METHODS
]
FORBIDDEN = [
    Row(
        f"{full_name(method)} by {caller}",
        call(method, caller),
        NO_MEMBERSHIP if caller is Caller.ROLELESS else NO_PERMISSION,
    )
    for method in METHODS
    for caller in MAY
    if not may(caller, method)
]
ALLOWED = [
    pytest.param(method, caller, id=f"{full_name(method)} by {caller}")
    for method in METHODS
    for caller in MAY
    if may(caller, method)
]


@each_row([*STRANGE, *WITHOUT_HEADER])
async def test_strangers(service: Service, row: Row):
    """
    Nothing is open by mistake, and a client sees from the id what it did wrong.
    """
    await check(service, row)


@each_row(FORBIDDEN)
async def test_who_may_not(service: Service, row: Row):
    """
    A publisher's token that leaks must not show targets, with their keys.
    """
    await check(service, row)


@pytest.mark.parametrize(("method", "caller"), ALLOWED)
async def test_who_may(service: Service, method: DescMethod, caller: Caller):
    """
    They get the answer that the admin gets, whatever it is.
    """
    name, request = full_name(method), smallest(method)
    for wire in EVERY_WIRE:
        if wire is not Wire.REST or has_route(method):
            as_admin = await service.answer(name, request, wire=wire)
            theirs = await service.answer(name, request, caller, wire)
            expected = (as_admin.code, as_admin.text, as_admin.message)
            assert expected == (theirs.code, theirs.text, theirs.message)
            assert theirs.detail_id not in {"AUTH-5mWD2", "AUTHZ-cdgFk"}
