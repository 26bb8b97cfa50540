"""What is in one instance does not exist in another: for every call of every service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from protobuf import DescMethod

from api.access.isolation_cases import CASES, OF_THE_SERVER, PUBLIC_SERVICES, Case
from api.access.tenants import (
    METHODS,
    Tenant,
    filled,
    mentioned,
    nobodys,
    populate,
    shown,
    snapshot,
    suggests_its_own,
    two_tenants,
)
from outrider.api.rpc.interceptors import LIBRARY_SERVICES, PUBLIC, permission_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tenants = tuple[Tenant, Tenant]


CALLS = [method for method in METHODS if method.method_kind == "unary"]
GUARDED = [call for call in CALLS if permission_of(call) != PUBLIC]


def each_case(cases) -> pytest.MarkDecorator:
    """A test for every case of every version of a call."""
    return pytest.mark.parametrize(
        ("method", "case"),
        [
            pytest.param(method, case, id=f"{name_of(method)} {json.dumps(case.request)[:60]}")
            for method in GUARDED
            for case in cases.get(method.name, ())
        ],
    )


def name_of(method: DescMethod) -> str:
    """Short, and with its version where there are two."""
    package = method.parent.type_name.rpartition(".")[0]
    return f"{package}.{method.name}"


each_guarded = pytest.mark.parametrize("method", GUARDED, ids=name_of)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenants]:
    """One that has something, and one that asks for it."""
    async with two_tenants(tmp_path_factory.mktemp("service")) as both:
        yield both


async def test_every_call_has_a_case():
    """
    A call without a case may leak.
    """
    known = [*CASES, *OF_THE_SERVER]

    assert {method.name for method in GUARDED} == set(known)
    assert len(known) == len(set(known))
    assert all(CASES.values())


async def test_only_these_streams_are_tried_elsewhere():
    """
    A tunnel's name contains its instance, and targets of others must not use it: tests/adapters/tunnel.
    """
    streams = {
        method.name for method in METHODS if method not in CALLS and permission_of(method) != PUBLIC
    }
    assert {"Listen"} == streams


async def test_only_these_are_public():
    """
    A developer who makes a call public confirms here that it shows nothing of an instance.
    """
    declared = {method.parent.type_name for method in METHODS if permission_of(method) == PUBLIC}

    assert PUBLIC_SERVICES == declared | LIBRARY_SERVICES


@each_case(CASES)
async def test_anothers_things_do_not_exist(tenants: Tenants, method: DescMethod, case: Case):
    """
    The answer is that about things that were never made, and their owner notices nothing. That he is
    answered otherwise shows that the request would reach them.
    """
    owner, stranger = tenants
    has = await populate(owner, account_key="$account_key" in json.dumps(case.request))
    before = await snapshot(owner, has)
    theirs = await stranger.answer(method, filled(case.request, has))
    after = await snapshot(owner, has)
    nothing = nobodys()
    expected = await stranger.answer(method, filled(case.request, nothing))

    asked = mentioned(case.request, has)
    assert shown(expected, mentioned(case.request, nothing)) == shown(theirs, asked)
    assert before == after
    assert await suggests_its_own(stranger, theirs)
    text = shown(theirs, asked)
    assert [] == [name for name, value in has.items() if value in text]
    if case.reaches:
        assert shown(theirs, {}) != shown(await owner.answer(method, filled(case.request, has)), {})


@pytest.mark.parametrize("rpc", OF_THE_SERVER)
async def test_no_owner_reaches_over_instances(tenants: Tenants, rpc: str):
    """
    Other instances are not even counted.
    """
    (method,) = [guarded for guarded in GUARDED if guarded.name == rpc]
    for tenant in tenants:
        refused = await tenant.answer(method, OF_THE_SERVER[rpc])
        assert ("permission_denied", "AUTH-5mWD2") == (refused.code, refused.detail_id)


@each_guarded
async def test_a_token_is_unknown_at_anothers_host(tenants: Tenants, method: DescMethod):
    """
    Whatever it may do at home; and it is told no more than a caller with a wrong token.
    """
    owner, stranger = tenants
    lost = Tenant(owner.service, owner.id, stranger.host, owner.token)
    at_default = Tenant(owner.service, owner.id, "elsewhere.test", owner.token)
    answers = [await client.answer(method, {}) for client in (lost, at_default)]

    assert [("unauthenticated", "AUTH-7fs1e")] * 2 == [
        (answer.code, answer.detail_id) for answer in answers
    ]


@each_guarded
async def test_a_token_is_known_at_its_own_host(tenants: Tenants, method: DescMethod):
    """
    So that the refusals are about the host, and about nothing else.
    """
    owner, _ = tenants

    assert "unauthenticated" != (await owner.answer(method, {})).code
