"""The examples of receivers: each is called by a real outrider, which applies what it answers."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from outrider.domain.targets.policy import RetryPolicy, TargetPolicy
from outrider.embed import Engine, Event, InterceptionResult
from outrider.errors import InvalidRequest, PermissionDenied
from outrider.testing.receiver import Answer
from outrider.testing.receiver import Receiver as Recording
from outrider_receiver.serve import ReceiverServer, load_receiver

RECEIVERS = Path(__file__).parents[2] / "examples" / "receivers"
PROGRAMS = sorted(RECEIVERS.glob("*.py"))
MAX_LINES = 39

USERS = "/zitadel.user.v2.UserService"
SET_SESSION = "/zitadel.session.v2.SessionService/SetSession"
ORG = {"id": "7", "name": "ACME", "primary_domain": "acme.example"}
GRANTS = [
    {"project_id": "1", "resource_owner": "7", "roles": ["clerk", "reader"]},
    {"project_id": "2", "resource_owner": "8", "roles": ["reader", "admin"]},
]
HUMAN = {"id": "42", "human": {"first_name": "Ada", "email": "ada@example.com"}}
SOON = RetryPolicy(waits=(timedelta(milliseconds=100),) * 20)
PAYLOAD = {"userinfo": {"sub": "42"}, "user": HUMAN, "org": ORG, "user_grants": GRANTS}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """One outrider for all of them."""
    async with Engine.open(data_dir=tmp_path_factory.mktemp("engine") / "d", dev=True) as opened:
        yield opened


@asynccontextmanager
async def serving(engine: Engine, name: str, kind: str = "call"):
    """The example behind a port, and called for everything that it has handlers for."""
    receiver = load_receiver(RECEIVERS / f"{name}.py")
    server = ReceiverServer(receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    bound = []
    try:
        target = await engine.create_target(
            name, server.url, type=kind, interrupt_on_error=kind != "async"
        )
        receiver.signing_keys = target.signing_key
        for handler in receiver.handlers:
            bound.append("/".join(filter(None, (handler.kind, handler.name.strip("/")))))
            await engine.set_execution(bound[-1], [target])
        await engine.set_policy(target, TargetPolicy(retry=SOON))
        yield
    finally:
        for condition in bound:
            await engine.delete_execution(condition)
        await asyncio.to_thread(server.shutdown)
        await asyncio.to_thread(thread.join)
        server.server_close()


def claims(done: InterceptionResult) -> dict[str, object]:
    return {claim["key"]: claim["value"] for claim in done.message.get("append_claims", [])}


def metadata(done: InterceptionResult) -> dict[str, str]:
    return {
        entry["key"]: base64.b64decode(entry["value"]).decode()
        for entry in done.message["set_user_metadata"]
    }


async def test_custom_claims(engine):
    """
    The most common purpose of an action.
    """
    async with serving(engine, "custom_claims"):
        done = [
            await engine.call_function(name, PAYLOAD) for name in ("preuserinfo", "preaccesstoken")
        ]
        other = await engine.call_function("preuserinfo", {"org": {"id": "8"}})

    assert [{"plan": "enterprise", "org_id": "7"}] * 2 == [claims(result) for result in done]
    assert ["plan is enterprise"] == done[0].message["append_log_claims"]
    assert {"plan": "free", "org_id": "8"} == claims(other)


async def test_groups_claim(engine):
    """
    Applications that read `groups` work without knowing ZITADEL.
    """
    async with serving(engine, "groups_claim"):
        done = await engine.call_function("preaccesstoken", PAYLOAD)

    assert {"groups": ["admin", "clerk", "reader"]} == claims(done)


async def test_authorization(engine):
    """
    What another organization granted must not count.
    """
    async with serving(engine, "authorization"):
        done = await engine.call_function("preaccesstoken", PAYLOAD)
        without_grants = await engine.call_function("preaccesstoken", {"org": ORG})

    assert {"permissions": {"1": ["order.read", "order.write"]}} == claims(done)
    assert {} == claims(without_grants)


async def test_block_login(engine):
    """
    A blocked user sees why, other users see nothing of it.
    """
    blocked = [{"key": "blocked", "value": base64.b64encode(b"true").decode()}]
    async with serving(engine, "block_login"):
        with pytest.raises(PermissionDenied, match="this account is blocked"):
            await engine.call_function("preuserinfo", {**PAYLOAD, "user_metadata": blocked})
        done = await engine.call_function("preuserinfo", PAYLOAD)

    assert {} == claims(done)


async def test_set_metadata(engine):
    """
    Values are bytes to ZITADEL; the example never sees Base64.
    """
    known = [{"key": "first_client", "value": base64.b64encode(b"old").decode()}]
    payload = {**PAYLOAD, "application": {"client_id": "shop"}}
    async with serving(engine, "set_metadata"):
        first = await engine.call_function("preuserinfo", payload)
        again = await engine.call_function("preuserinfo", {**payload, "user_metadata": known})

    assert {"last_client": "shop", "first_client": "shop"} == metadata(first)
    assert {"last_client": "shop"} == metadata(again)


async def test_saml_attributes(engine):
    """
    A service provider gets the names and the format that it insists on.
    """
    async with serving(engine, "saml_attributes"):
        done = await engine.call_function("presamlresponse", {"user": HUMAN, "user_grants": GRANTS})

    assert [
        ("role", ["admin", "clerk", "reader"]),
        ("mail", ["ada@example.com"]),
    ] == [(attribute["name"], attribute["value"]) for attribute in done.message["append_attribute"]]
    assert {"urn:oasis:names:tc:SAML:2.0:attrname-format:basic"} == {
        attribute["name_format"] for attribute in done.message["append_attribute"]
    }


async def test_idp_mapping(engine):
    """
    The rest of the message must stay: an answer replaces all of it.
    """
    method = f"{USERS}/RetrieveIdentityProviderIntent"
    raw = {"first_name": "Ada", "last_name": "Lovelace"}
    message = {
        "details": {"sequence": "3"},
        "idpInformation": {"idpId": "9", "rawInformation": raw},
        "addHumanUser": {"username": "ada", "profile": {"displayName": "ada"}},
    }
    known = {"userId": "42", "idpInformation": {"rawInformation": raw}}
    async with serving(engine, "idp_mapping"):
        done = await engine.intercept_response(method, message, request={"idpIntentId": "1"})
        left = await engine.intercept_response(method, known, request={"idpIntentId": "1"})

    profile = {"displayName": "ada", "givenName": "Ada", "familyName": "Lovelace"}
    assert {**message, "addHumanUser": {"username": "ada", "profile": profile}} == done.message
    assert known == left.message


async def test_jit_migration(engine):
    """
    A user of the old system is found, checked by the old password, and then removed there.
    """
    query = {"queries": [{"loginNameQuery": {"loginName": "ada@example.com"}}]}
    known = {"details": {"totalResult": "1"}, "result": [{"userId": "42"}]}

    async def find(found: dict[str, object]) -> dict[str, object]:
        method = f"{USERS}/ListUsers"
        return (await engine.intercept_response(method, found, request=query)).message

    async def sign_in(password: str) -> None:
        checks = {"checks": {"password": {"password": password}}}
        await engine.intercept_request(SET_SESSION, checks, user_id="old-1")

    async with serving(engine, "jit_migration"):
        moved_in = await find({"details": {}})
        left = await find(known)
        with pytest.raises(InvalidRequest, match="wrong password"):
            await sign_in("guess")
        await sign_in("old password")
        await engine.intercept_request(f"{USERS}/SetPassword", {"userId": "old-1"})
        gone = await find({"details": {}})
        await sign_in("guess")

    assert "1" == moved_in["details"]["totalResult"]
    assert ["old-1"] == [user["userId"] for user in moved_in["result"]]
    assert known == left
    assert {"details": {}} == gone


async def test_set_role(engine, monkeypatch):
    """
    ZITADEL is down when the user comes: the role is set as soon as it is back.
    """
    async with Recording([Answer(status=503), Answer(), Answer(status=409)]) as zitadel:
        monkeypatch.setenv("ZITADEL_URL", zitadel.url.removesuffix("/hook"))
        monkeypatch.setenv("ZITADEL_TOKEN", "secret")
        monkeypatch.setenv("PROJECT_ID", "1")
        event = Event(event_type="user.human.added", aggregate_id="42", resource_owner="7")
        async with serving(engine, "set_role", "webhook"):
            await engine.publish([event, event])
            calls = await zitadel.wait_for(3)
            deliveries = await settled(engine, 2)

    assert {"/management/v1/users/42/grants"} == {call.path for call in calls}
    assert {"projectId": "1", "roleKeys": ["member"]} == json.loads(calls[0].body)
    assert ("Bearer secret", "7") == (
        calls[0].header("authorization"),
        calls[0].header("x-zitadel-orgid"),
    )
    assert {"DELIVERED"} == {delivery.state.name for delivery in deliveries}


async def test_forward_events(engine, monkeypatch):
    """
    Every event arrives, whatever its type, with an id by which a repetition is known.
    """
    async with Recording() as store:
        monkeypatch.setenv("LOGS_URL", store.url)
        monkeypatch.setenv("LOGS_KEY", "secret")
        async with serving(engine, "forward_events", "async"):
            await engine.publish(
                [
                    Event(event_type="order.created", aggregate_id="7", payload={"total": 3}),
                    Event(event_type="user.removed", aggregate_id="8"),
                ]
            )
            calls = await store.wait_for(2)
            await settled(engine, 2)

    lines = sorted((json.loads(call.body)[0] for call in calls), key=lambda line: line["type"])
    assert ["order.created", "user.removed"] == [line["type"] for line in lines]
    assert [{"total": 3}, None] == [line["payload"] for line in lines]
    assert 2 == len({line["id"] for line in lines})
    assert "secret" == calls[0].header("dd-api-key")


async def settled(engine: Engine, count: int) -> list[object]:
    """The newest deliveries, once they have ended."""
    async with asyncio.timeout(20):
        while True:
            newest = (await engine.list_deliveries())[:count]
            if all(delivery.state.name in {"DELIVERED", "DEAD"} for delivery in newest):
                return newest
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
async def test_an_example_is_read_at_a_glance(program):
    """
    What is longer than a page is not copied but skipped; what no test runs soon does not run.
    """
    assert len(program.read_text().splitlines()) <= MAX_LINES
    assert f"test_{program.stem}" in globals()


async def test_there_are_ten_of_them():
    """
    As many as there are public examples for ZITADEL.
    """
    assert 10 == len(PROGRAMS)
