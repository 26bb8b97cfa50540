"""ZITADEL's Terraform provider against a running server: its resources, its order of calls.

The provider is a program in Go; what it does is played here call by call with Google's client,
over HTTP/2 without TLS. The tests are the provider's own acceptance scenarios.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from clients.terraform.connection import Connection, compiled
from clients.terraform.resources import (
    Execution,
    InvalidImportError,
    PublicKey,
    Target,
    WebKey,
    eventually,
    imported,
)
from system.server import Server

# With the newline at the end that `file("key.pem")` has.
PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
PLAN = {
    "name": "audit",
    "endpoint": "http://127.0.0.1:1/hook",
    "timeout": 10,
    "target_type": "rest_webhook",
    "interrupt_on_error": True,
}
SERVICE = "zitadel.session.v2.SessionService"
SCOPES: list[dict[str, Any]] = [{"method": f"/{SERVICE}/ListSessions"}, {"service": SERVICE}]
CONDITIONS = [
    *({kind: scope} for kind in ("request", "response") for scope in [*SCOPES, {"all": True}]),
    {"event": {"event": "user.human.added"}},
    {"event": {"group": "user.human"}},
    {"event": {"all": True}},
    *({"function": {"name": f"pre{name}"}} for name in ("accesstoken", "userinfo", "samlresponse")),
]


@pytest.fixture(scope="module")
def procedures(tmp_path_factory: pytest.TempPathFactory):
    """The contract as Google's compiler reads it."""
    return compiled(tmp_path_factory.mktemp("contract"))


@pytest.fixture
def connection(server: Server, procedures) -> Iterator[Connection]:
    """The provider's; it leaves no target behind."""
    host, port = server.address
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        connection = Connection(procedures, channel, server.token)
        yield connection
        for target in connection.call("ListTargets").targets:
            connection.call("DeleteTarget", id=target.id)


def last_sent(connection: Connection, procedure: str) -> set[str]:
    """The fields of the last request of this procedure."""
    requests = [request for name, request in connection.called if name == procedure]
    return {field.name for field, _ in requests[-1].ListFields()}


@pytest.mark.parametrize("payload_type", ["JSON", "JWT", "JWE"])
@pytest.mark.parametrize(
    "kind",
    [
        {"target_type": "rest_webhook", "interrupt_on_error": True},
        {"target_type": "rest_webhook", "interrupt_on_error": False},
        {"target_type": "rest_call", "interrupt_on_error": True},
        {"target_type": "rest_async", "interrupt_on_error": False},
    ],
    ids=lambda kind: "-".join(map(str, kind.values())),
)
def test_a_target_is_planned_once(connection, kind, payload_type):
    """
    What is read must be what was planned, or each `terraform plan` shows a change.
    """
    target = Target(connection)
    plan = PLAN | kind | {"payload_type": f"PAYLOAD_TYPE_{payload_type}"}
    state = target.create(**plan)

    assert state == target.read(state)


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        ({"name": "renamed"}, {"name"}),
        ({"timeout": 20}, {"timeout"}),
        ({"endpoint": "http://127.0.0.1:2/hook"}, {"endpoint"}),
        ({"payload_type": "PAYLOAD_TYPE_JWT"}, {"payload_type"}),
        ({"interrupt_on_error": False}, {"rest_webhook"}),
        ({"target_type": "rest_call"}, {"rest_call"}),
        ({"target_type": "rest_async", "interrupt_on_error": False}, {"rest_async"}),
    ],
    ids="-".join,
)
def test_an_update_in_place_sends_what_changed_and_keeps_the_rest(connection, change, sent):
    """
    A field that is not sent is not to be reset, and the id and the signing key stay.
    """
    target = Target(connection)
    state = target.create(**PLAN)
    updated = target.update(state, **PLAN | change)

    assert {"id", *sent} == last_sent(connection, "UpdateTarget")
    assert {**state, **change} == updated == target.read(updated)


def test_a_signing_key_is_rotated_by_an_expiry(connection):
    """
    The provider reads the new key from this answer only.
    """
    target = Target(connection)
    state = target.create(**PLAN)
    rotated = target.update(state, expiration_signing_key=0)
    answer = connection.call("GetTarget", id=state["id"]).target

    assert state["signing_key"] != rotated["signing_key"] == answer.signing_key


def test_a_deleted_target_leaves_the_state(connection):
    """
    Code 5 and no other takes it out; anything else stops the run.
    """
    target = Target(connection)
    state = target.create(**PLAN)
    target.delete(state)

    with pytest.raises(grpc.RpcError) as raised:
        connection.call("GetTarget", id=state["id"])
    assert 5 == raised.value.code().value[0]
    assert target.read(state) is None


def test_what_was_made_elsewhere_is_imported(connection):
    """
    Targets, public keys and web keys by their ids, which the provider checks.
    """
    target, public_key, web_key = Target(connection), PublicKey(connection), WebKey(connection)
    made = target.create(**PLAN)
    added = public_key.create(made["id"], PEM)
    created = web_key.create(ed25519={})

    found = target.read({**imported(made["id"], "id"), "signing_key": made["signing_key"]})
    text = f"{added['key_id']}:{made['id']}"
    found_key = public_key.read(imported(text, "key_id", "target_id"))
    found_web_key = web_key.read(imported(created["id"], "id"))
    web_key.delete(created)

    assert {**PLAN, "id": made["id"]}.items() <= found.items()
    assert (PEM, False) == (found_key["public_key"], found_key["active"])
    assert {"id": created["id"], "kind": "ed25519", "active": False} == found_web_key
    with pytest.raises(InvalidImportError):
        imported("1004000000000000001", "id")


def test_what_was_written_is_read_immediately(connection):
    """
    The provider's tests ask for up to a minute; other users must not have to.
    """
    target, execution = Target(connection), Execution(connection)
    state = target.create(**PLAN)
    seen = [eventually(lambda: target.read(state), lambda found: found is not None)]
    planned = execution.put(CONDITIONS[0], [state["id"]])
    seen.append(eventually(lambda: execution.read(planned), lambda found: found is not None))
    execution.delete(planned)
    seen.append(eventually(lambda: execution.read(planned), lambda found: found is None))
    target.delete(state)
    seen.append(eventually(lambda: target.read(state), lambda found: found is None))

    assert [1, 1, 1, 1] == seen


def jwe_target(connection: Connection) -> str:
    """The target of the provider's own scenario for keys."""
    kind = {"target_type": "rest_async", "interrupt_on_error": False}
    state = Target(connection).create(**PLAN | kind | {"payload_type": "PAYLOAD_TYPE_JWE"})
    return str(state["id"])


def test_a_public_key_stays_inactive_until_it_is_activated(connection):
    """
    The plan may leave it out, and then nothing happens.
    """
    public_key = PublicKey(connection)
    state = public_key.create(jwe_target(connection), PEM)

    assert state == public_key.read(state)
    assert (False, PEM) == (state["active"], state["public_key"])


def test_a_public_key_is_switched_and_keeps_its_id(connection):
    """
    Receivers find their private key by it.
    """
    public_key = PublicKey(connection)
    state = public_key.create(jwe_target(connection), PEM, active=True)
    states = [state]
    for active in (False, True):
        states.append(public_key.update(states[-1], active=active))
        assert states[-1] == public_key.read(states[-1])

    assert [True, False, True] == [public_key_state["active"] for public_key_state in states]
    assert {state["key_id"]} == {public_key_state["key_id"] for public_key_state in states}


def test_who_activated_a_key_elsewhere_is_not_overruled(connection):
    """
    A plan without a word about it leaves it, and the state shows what is.
    """
    public_key = PublicKey(connection)
    state = public_key.create(jwe_target(connection), PEM)
    ids = {"target_id": state["target_id"], "key_id": state["key_id"]}
    connection.call("ActivatePublicKey", **ids)
    refreshed = public_key.read(state)
    public_key.update(refreshed, active=None)

    assert refreshed["active"]
    assert refreshed == public_key.read(refreshed)


@pytest.mark.parametrize("active", [True, False, None])
def test_a_public_key_is_deleted_whatever_its_state(connection, active):
    """
    Deactivated first, because an active one is refused.
    """
    public_key = PublicKey(connection)
    state = public_key.create(jwe_target(connection), PEM, active=active)
    public_key.delete(state)

    assert public_key.read(state) is None


def test_a_public_key_that_is_gone_is_deleted_again(connection):
    """
    Deactivating answers FailedPrecondition, which the provider passes over; removing succeeds.
    """
    public_key = PublicKey(connection)
    state = public_key.create(jwe_target(connection), PEM)
    public_key.delete(state)
    with pytest.raises(grpc.RpcError) as raised:
        public_key.update(state, active=True)
    public_key.delete(state)

    assert grpc.StatusCode.FAILED_PRECONDITION is raised.value.code()
    assert ["DeactivatePublicKey", "RemovePublicKey"] == [
        procedure for procedure, _ in connection.called[-2:]
    ]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_the_life_of_an_execution(connection, condition):
    """
    Set, found among all, changed, cleared; the provider compares conditions to find its own.
    """
    targets, execution = Target(connection), Execution(connection)
    ids = [targets.create(**PLAN | {"name": f"target {number}"})["id"] for number in range(2)]
    others = [other for other in CONDITIONS if other != condition]
    for other in others:
        execution.put(other, ids[:1])
    state = execution.put(condition, ids[:1])
    assert state == execution.read(state)
    changed = execution.put(condition, ids[::-1])
    assert changed == execution.read(changed)
    execution.delete(changed)

    assert execution.read(changed) is None
    assert len(others) == len(connection.call("ListExecutions").executions)


def test_an_execution_of_a_target_that_is_gone_is_not_sent(connection):
    """
    The provider finds out before: with code 5, from GetTarget.
    """
    with pytest.raises(grpc.RpcError) as raised:
        Execution(connection).put(CONDITIONS[0], ["1"])

    assert grpc.StatusCode.NOT_FOUND is raised.value.code()
    assert "SetExecution" not in [procedure for procedure, _ in connection.called]


def test_an_empty_request_lists_the_newest_hundred(connection):
    """
    The provider sends nothing at all, and sees no more than the first page.
    """
    empty = connection.call("ListExecutions")
    target = Target(connection).create(**PLAN)["id"]
    methods = connection.call("ListExecutionMethods").methods[:101]
    for method in methods:
        condition = {"request": {"method": method}}
        connection.call("SetExecution", condition=condition, targets=[target])
    listed = connection.call("ListExecutions")

    assert ([], 0, 100) == (
        list(empty.executions),
        empty.pagination.total_result,
        empty.pagination.applied_limit,
    )
    assert (101, 100) == (listed.pagination.total_result, listed.pagination.applied_limit)
    assert methods[:0:-1] == [execution.condition.request.method for execution in listed.executions]


@pytest.mark.parametrize(
    "kind",
    [
        {"rsa": {"bits": "RSA_BITS_2048", "hasher": "RSA_HASHER_SHA256"}},
        {"ecdsa": {"curve": "ECDSA_CURVE_P384"}},
        {"ed25519": {}},
    ],
    ids=lambda kind: next(iter(kind)),
)
def test_the_life_of_a_web_key(connection, kind):
    """
    Another must be active before it can be deleted, as the provider's users arrange it.
    """
    web_key = WebKey(connection)
    former = web_key.active()
    state = web_key.create(**kind)
    waiting = web_key.read(state)
    web_key.activate(state["id"])
    active = web_key.read(state)
    with pytest.raises(grpc.RpcError) as raised:
        web_key.delete(state)
    web_key.activate(former)
    web_key.delete(state)

    assert {"id": state["id"], "kind": next(iter(kind)), "active": False} == waiting
    assert {**waiting, "active": True} == active
    assert grpc.StatusCode.FAILED_PRECONDITION is raised.value.code()
    assert former == web_key.active()
    assert web_key.read(state) is None
