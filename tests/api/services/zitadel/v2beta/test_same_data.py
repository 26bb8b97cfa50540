"""v2 and v2beta: two views of the same targets and executions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.calls.service import Service
from api.calls.table import Caller
from api.services.zitadel.v2beta.beta import ask
from api.wires import HttpRequest, Wire
from outrider_api.zitadel.action.v2 import action_service_pb as v2
from outrider_api.zitadel.action.v2beta import action_service_pb as v2beta

pytestmark = pytest.mark.asyncio(loop_scope="module")

EACH_WIRE = pytest.mark.parametrize("wire", list(Wire))
V2 = "zitadel.action.v2.ActionService"
EVENT = {"event": {"event": "user.human.added"}}


def webhook(name: str, **fields: Any) -> dict[str, Any]:
    """What both versions of CreateTarget take."""
    return {
        "name": name,
        "endpoint": "https://receiver.example/hook",
        "restWebhook": {},
        "timeout": "10s",
        **fields,
    }


async def target_v2(service: Service, target: str) -> dict[str, Any]:
    """A target as v2 shows it."""
    return (await service.ask(f"{V2}/GetTarget", {"id": target}))["target"]


@EACH_WIRE
@pytest.mark.parametrize("type_", ["restWebhook", "restCall", "restAsync"])
async def test_a_target_of_v2beta_is_seen_by_v2(
    service: Service, unique: str, wire: Wire, type_: str
):
    """
    A client that moves to v2 finds everything. There is no payload type: it behaves as JSON.
    """
    request = {**webhook(unique), type_: {}}
    if type_ != "restWebhook":
        del request["restWebhook"]
    created = await ask(service, "CreateTarget", request, wire)

    assert {
        **request,
        **created,
        "changeDate": created["creationDate"],
    } == await target_v2(service, created["id"])


@EACH_WIRE
@pytest.mark.parametrize("payload_type", ["JSON", "JWT", "JWE"])
async def test_v2beta_shows_a_target_of_v2_without_its_payload_type(
    service: Service, unique: str, wire: Wire, payload_type: str
):
    """
    An older client reads on, whatever newer ones have made.
    """
    target = webhook(unique, payloadType=f"PAYLOAD_TYPE_{payload_type}")
    created = await service.ask(f"{V2}/CreateTarget", target)
    seen = await target_v2(service, created["id"])
    named = {"targetNameFilter": {"targetName": unique}}
    got = await ask(service, "GetTarget", {"id": created["id"]}, wire)
    listed = await ask(service, "ListTargets", {"filters": [named]}, wire)

    assert target["payloadType"] == seen.pop("payloadType")
    assert seen == got["target"]
    assert [seen] == listed["targets"]


async def test_no_byte_of_an_answer_is_beyond_v2beta(service: Service, unique: str):
    """
    A binary answer with a field that v2beta does not have would show what it must not.
    """
    created = await service.ask(
        f"{V2}/CreateTarget", webhook(unique, payloadType="PAYLOAD_TYPE_JWT")
    )
    response = await service.client.exchange(
        proto_request(service, "GetTarget", v2beta.GetTargetRequest(id=created["id"]))
    )

    assert 200 == response.status
    assert v2.GetTargetResponse.from_binary(response.body).target.payload_type == 0


async def test_a_payload_type_in_the_bytes_of_a_request_is_not_taken(service: Service, unique: str):
    """
    Clients of v2beta cannot have meant it: a field of that number is unknown there.
    """
    target = webhook(unique, payloadType="PAYLOAD_TYPE_JWT")
    request = v2.CreateTargetRequest.from_json(json.dumps(target))
    response = await service.client.exchange(proto_request(service, "CreateTarget", request))
    created = v2beta.CreateTargetResponse.from_binary(response.body)

    assert 200 == response.status
    assert "payloadType" not in await target_v2(service, created.id)


@EACH_WIRE
@pytest.mark.parametrize("payload_type", ["JSON", "JWT", "JWE"])
async def test_an_update_by_v2beta_leaves_the_payload_type(
    service: Service, unique: str, wire: Wire, payload_type: str
):
    """
    A receiver that expects a JWT must not get JSON because an operator renamed the target.
    """
    target = webhook(unique, payloadType=f"PAYLOAD_TYPE_{payload_type}")
    created = await service.ask(f"{V2}/CreateTarget", target)
    change = {
        "id": created["id"],
        "name": f"{unique}-2",
        "restCall": {"interruptOnError": True},
        "endpoint": "https://receiver.example/other",
        "timeout": "3s",
        "expirationSigningKey": "0s",
    }
    updated = await ask(service, "UpdateTarget", change, wire)
    seen = await target_v2(service, created["id"])

    assert target["payloadType"] == seen["payloadType"]
    assert (f"{unique}-2", updated["signingKey"]) == (seen["name"], seen["signingKey"])


@EACH_WIRE
async def test_v2beta_deletes_a_target_of_v2(service: Service, unique: str, wire: Wire):
    """
    It is gone from v2, and from executions that v2 has set.
    """
    created = await service.ask(f"{V2}/CreateTarget", webhook(unique))
    request = {"condition": EVENT, "targets": [created["id"]]}
    await service.ask(f"{V2}/SetExecution", request)
    deleted = await ask(service, "DeleteTarget", {"id": created["id"]}, wire)
    result = await service.answer(f"{V2}/GetTarget", {"id": created["id"]})
    found = {"filters": [{"targetFilter": {"targetId": created["id"]}}]}
    executions = await service.ask(f"{V2}/ListExecutions", found)

    assert {"deletionDate"} == set(deleted)
    assert "not_found" == result.code
    assert "executions" not in executions


@EACH_WIRE
async def test_executions_are_the_same_in_both(service: Service, unique: str, wire: Wire):
    """
    Each version replaces and sees what the other has set.
    """
    by_v2 = (await service.ask(f"{V2}/CreateTarget", webhook(f"{unique}-a")))["id"]
    by_beta = (await ask(service, "CreateTarget", webhook(f"{unique}-b"), wire))["id"]
    found = {"filters": [{"inConditionsFilter": {"conditions": [EVENT]}}]}
    await service.ask(f"{V2}/SetExecution", {"condition": EVENT, "targets": [by_beta, by_v2]})
    seen_by_beta = await ask(service, "ListExecutions", found, wire)
    await ask(service, "SetExecution", {"condition": EVENT, "targets": [by_v2, by_beta]}, wire)
    seen_by_v2 = await service.ask(f"{V2}/ListExecutions", found)

    assert [[by_beta, by_v2]] == [execution["targets"] for execution in seen_by_beta["executions"]]
    assert [[by_v2, by_beta]] == [execution["targets"] for execution in seen_by_v2["executions"]]


def proto_request(service: Service, rpc: str, message: Any) -> HttpRequest:
    """A call of v2beta whose bytes are those of a message of any version."""
    headers = {"content-type": "application/proto", **service.headers[Caller.ADMIN]}
    path = f"/zitadel.action.v2beta.ActionService/{rpc}"
    return HttpRequest("POST", path, headers, message.to_binary())
