"""Interceptions seen from both ends: what a receiver gets, and what a caller can count on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet
from protobuf import Message
from protobuf.wkt import Struct, Value

from adapters.crypto.openssl import key_files
from api.asgi_client import Connection
from api.calls.receiver import HOST, NOBODY
from api.calls.runner import WORDS
from api.calls.service import Service, rpc_named, running
from api.calls.steps import of_type
from api.calls.table import Caller
from api.services.zitadel.test_public_keys import encoded
from api.wires import HttpRequest, Result, Wire, request_of
from outrider.adapters.crypto.jose import KeyPairs
from outrider.testing.receiver import Answer, ReceivedCall, Receiver
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider_api.outrider.v1 import target_policy_service_pb as policy_pb
from outrider_api.outrider.v1.interception_service_pb import (
    CallFunctionRequest,
    InterceptRequestRequest,
    InterceptResponseRequest,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

BINARY = [wire for wire in Wire if wire not in {Wire.CONNECT_JSON, Wire.REST}]
every_wire = pytest.mark.parametrize("wire", list(Wire), ids=str)
WITHIN_S = 1.0
EVERYTHING = {"request": {"all": True}}
FAILED = ("failed_precondition", "Execution failed (EXEC-dra6yamk98)", "EXEC-dra6yamk98")


async def make(
    service: Service, endpoint: str, *, interrupts: bool = False, **fields: Any
) -> dict[str, Any]:
    """A rest_call target of this test's own."""
    named = {"name": next(WORDS), "endpoint": endpoint, **fields}
    request = of_type("restCall", interrupts=interrupts, **named)
    return await service.ask("CreateTarget", request)


async def a_method(service: Service, *targets: str) -> str:
    """A method of this test's own, whose requests and responses run through these targets."""
    method = f"/{next(WORDS)}.Service/Do"
    entry = {"kind": "CATALOGUE_KIND_METHOD", "name": method}
    await service.ask("AddEntries", {"entries": [entry]})
    for kind in ("request", "response"):
        condition = {kind: {"method": method}}
        await service.ask("SetExecution", {"condition": condition, "targets": targets})
    return method


async def sent(
    service: Service, wire: Wire, rpc: str, message: Message, headers: Mapping[str, str] = {}
) -> Result[Any]:
    """The answer to a message that may contain what JSON cannot."""
    method = rpc_named(rpc)
    known = {**service.headers[Caller.ADMIN], **headers}
    return await service.client.call(wire, method.parent, rpc, message, method.output.type, known)


def heard(result: Result[Any]) -> tuple[str, str, str | None]:
    """Code, text and id of an error."""
    return result.code, result.text, result.detail_id


# What a receiver gets


HEADERS = {
    "Content-Type": {"values": ["application/json"]},
    "X-Forwarded-For": {"values": ["192.0.2.1", "192.0.2.2"]},
    "x-forwarded-host": {"values": ["api.example"]},
    "host": {"values": ["api.example"]},
    "Origin": {"values": ["https://app.example"]},
    "authorization": {"values": ["Bearer secret"]},
    "Cookie": {"values": ["secret"]},
    "x-api-key": {"values": ["secret"]},
    "ORIGIN": {},
}
CONTEXT = {"orgId": "2", "projectId": "3", "userId": "4", "headers": HEADERS}


@every_wire
async def test_the_receiver_gets_what_zitadel_sends(service: Service, wire: Wire):
    """
    Receivers are written for these keys in this order, and credentials are none of their business.
    """
    async with Receiver(host=HOST, now=lambda: service.clock.now) as receiver:
        target = await make(service, receiver.url)
        receiver.signing_keys = [target["signingKey"]]
        method = await a_method(service, target["id"])
        asked = {"fullMethod": method, **CONTEXT, "request": {"a": "<&>"}}
        await service.ask("InterceptRequest", asked, wire=wire)
        await service.ask("InterceptResponse", {**asked, "response": {"b": 1}}, wire=wire)
        await service.ask("InterceptRequest", {"fullMethod": method}, wire=wire)
        first, second, third = receiver.calls

    start = f'{{"fullMethod":"{method}","instanceID":"{service.instance}","orgID":"2",'
    start += r'"projectID":"3","userID":"4","request":{"a":"\u003c\u0026\u003e"},'
    shown = {name: HEADERS[name]["values"] for name in list(HEADERS)[:5]}
    for call, opening in ((first, start), (second, start + '"response":{"b":1},')):
        text = call.body.decode()
        assert text.startswith(f'{opening}"headers":{{')
        assert shown == json.loads(text)["headers"]
        assert call.verified is not None, call.refusal
        assert None is call.header("Outrider-Delivery")
    bare = {"fullMethod": method, "instanceID": service.instance, "request": {}}
    assert bare == json.loads(third.body)
    assert 3 == len({call.header("webhook-id") for call in receiver.calls})


async def test_a_response_is_made_by_its_receiver_from_a_request_made_by_another(service: Service):
    """
    ZITADEL's own end-to-end test: a wrong id goes in, and what receivers made comes out.
    """

    def repaired(call: ReceivedCall) -> Answer:
        payload = json.loads(call.body)
        if "response" not in payload:
            return Answer(body=json.dumps({**payload["request"], "id": "right"}).encode())
        name = f"{payload['response']['name']} of {payload['request']['id']}"
        return Answer(body=json.dumps({"name": name}).encode())

    async with Receiver(repaired, host=HOST) as receiver:
        target = await make(service, receiver.url)
        method = await a_method(service, target["id"])
        asked = {"fullMethod": method, "request": {"id": "wrong", "other": True}}
        request = (await service.ask("InterceptRequest", asked))["request"]
        asked = {"fullMethod": method, "request": request, "response": {"name": "thing"}}
        answer = await service.ask("InterceptResponse", asked)

    assert {"id": "right", "other": True} == request
    assert {"name": "thing of right"} == answer["response"]


async def test_functions_can_be_signed_and_encrypted(tmp_path: Path):
    """
    What is known about a user at login is the last thing that should travel openly.
    """
    async with running(tmp_path) as service, Receiver(host=HOST) as receiver:
        web_keys = ManageWebKeys(service.store, service.runtime, KeyPairs())
        await web_keys.ensure_first(service.instance)
        signed = await make(service, receiver.url, payloadType="PAYLOAD_TYPE_JWT")
        secret = await make(service, receiver.url, payloadType="PAYLOAD_TYPE_JWE")
        pem = encoded(key_files("P-256").public_pem)
        added = await service.ask("AddPublicKey", {"targetId": secret["id"], "publicKey": pem})
        ids = {"targetId": secret["id"], "keyId": added["keyId"]}
        await service.ask("ActivatePublicKey", ids)
        function = {"condition": {"function": {"name": "preuserinfo"}}}
        await service.ask("SetExecution", {**function, "targets": [signed["id"], secret["id"]]})
        payload = {"user": {"id": "7"}}
        asked = {"function": "preuserinfo", "payload": payload}
        answer = await service.ask("CallFunction", asked)
        published = await service.client.exchange(HttpRequest("GET", "/oauth/v2/keys"))
        jwt, encrypted = receiver.calls

    keys = KeySet.import_key_set(json.loads(published.body))
    private = ECKey.import_key(key_files("P-256").private_pem)
    inner = jwe.decrypt_compact(encrypted.body, private, ["ECDH-ES+A256KW", "A256GCM"]).plaintext
    assert ["OUTCOME_ACCEPTED"] * 2 == [call["outcome"] for call in answer["calls"]]
    for compact in (jwt.body, inner):
        found = jws.deserialize_compact(compact, keys, ["RS256"]).payload
        assert {"function": "function/preuserinfo", **payload} == json.loads(found)


# What cannot be asked


ABOUT = {"full_method": "/a.B/C"}
STRUCTS = {
    "InterceptRequest.Request": partial(InterceptRequestRequest, **ABOUT),
    "InterceptResponse.Request": partial(InterceptResponseRequest, **ABOUT),
    "InterceptResponse.Response": partial(InterceptResponseRequest, **ABOUT),
    "CallFunction.Payload": partial(CallFunctionRequest, function="f"),
    "TestTarget.Payload": partial(policy_pb.TestTargetRequest, target_id="1"),
}
NOT_JSON = {
    "value cannot be NaN or Infinity": [
        Struct.from_python({"a": float("inf")}),
        Struct.from_python({"a": [{"b": float("-inf")}]}),
        Struct.from_python({"a": float("nan")}),
    ],
    "value must have exactly one field set": [Struct(fields={"a": Value()})],
}


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("where", STRUCTS)
async def test_what_json_has_no_words_for_is_refused(service: Service, where: str, wire: Wire):
    """
    No target could be told, and the caller hears which field it is, whether one is bound or not.
    """
    rpc, field = where.split(".")
    for reason, structs in NOT_JSON.items():
        for struct in structs:
            message = STRUCTS[where](**{field.lower(): struct})
            refused = await sent(service, wire, rpc, message)
            text = f"invalid {rpc}Request.{field}: value must be JSON: {reason}"
            assert ("invalid_argument", text, None) == heard(refused)


async def code_of(service: Service, wire: Wire, text: str) -> str:
    """What an InterceptRequest is answered with; a text that the wire cannot carry is invalid."""
    if wire in BINARY:
        try:
            message = InterceptRequestRequest.from_json(text)
            message.to_binary()
        except RecursionError:
            return "invalid_argument"
        return (await sent(service, wire, "InterceptRequest", message)).code
    path = "/v1/intercept/request"
    if wire is Wire.CONNECT_JSON:
        path = "/outrider.v1.InterceptionService/InterceptRequest"
    headers = {**service.headers[Caller.ADMIN], "content-type": "application/json"}
    request = HttpRequest("POST", path, headers, text.encode())
    answer = (await service.client.exchange(request)).json()
    return str(answer.get("code", "ok"))


@every_wire
async def test_a_deep_message_comes_back_or_is_refused(service: Service, wire: Wire):
    """
    The wire has a bound, and where it is must not be a fault of ours.
    """
    codes = []
    for depth in range(44, 54):
        deep = '{"a":' * depth + "1" + "}" * depth
        text = f'{{"fullMethod":"/a.B/C","request":{deep}}}'
        codes.append(await code_of(service, wire, text))

    assert ["ok"] * 5 == codes[:5]
    assert set(codes) <= {"ok", "invalid_argument"}


# How long it takes


def deadline(wire: Wire) -> dict[str, str]:
    """The header with the time that the caller waits."""
    if wire in {Wire.CONNECT_JSON, Wire.CONNECT_PROTO, Wire.REST}:
        return {"connect-timeout-ms": str(int(WITHIN_S * 1000))}
    return {"grpc-timeout": f"{int(WITHIN_S * 1000)}m"}


async def test_a_caller_with_a_deadline_hears_before_it(service: Service):
    """
    A target that hangs for its ten seconds must not cost the caller the whole answer.
    """
    silence = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=silence), host=HOST) as receiver:
        patient = await make(service, receiver.url)
        strict = await make(service, receiver.url, interrupts=True)
        body_limit = await a_method(service, patient["id"])
        stops = await a_method(service, strict["id"])
        message = Struct.from_python({"a": 1.0})
        began = asyncio.get_running_loop().time()
        results = await asyncio.gather(
            *(
                sent(
                    service,
                    wire,
                    "InterceptRequest",
                    InterceptRequestRequest(full_method=method, request=message),
                    deadline(wire),
                )
                for method in (body_limit, stops)
                for wire in Wire
            )
        )
        took = asyncio.get_running_loop().time() - began

    answers, errors = results[: len(Wire)], results[len(Wire) :]
    for result in answers:
        assert result.message is not None, heard(result)
        assert message == result.message.request
        assert ["OUTCOME_UNREACHABLE"] == [
            call["outcome"] for call in json.loads(result.message.to_json())["calls"]
        ]
    for result in errors:
        assert (*FAILED, strict["id"]) == (*heard(result), result.target_id)
    assert 12 == len(receiver.calls)
    assert WITHIN_S / 2 < took < 5


class LeavingConnection(Connection):
    """A caller that leaves on request."""

    def __init__(self, request: HttpRequest, leave: asyncio.Event) -> None:
        super().__init__(request, trailers=True)
        self._leave = leave

    async def receive(self) -> dict[str, Any]:
        """The body; then the end, once it is time."""
        if self._read:
            await self._leave.wait()
            return {"type": "http.disconnect"}
        return await super().receive()


@every_wire
async def test_no_target_is_called_for_a_caller_that_has_left(tmp_path: Path, wire: Wire):
    """
    A caller that cancels must not leave calls behind that no caller waits for.
    """
    leave, silence = asyncio.Event(), asyncio.Event()
    async with (
        Receiver(lambda _: Answer(hang_until=silence), host=HOST) as receiver,
        running(tmp_path) as service,
    ):
        target = await make(service, receiver.url)
        method = await a_method(service, target["id"], (await make(service, receiver.url))["id"])
        made = request_of(
            wire, rpc_named("InterceptRequest"), InterceptRequestRequest(full_method=method)
        )
        headers = {**made.headers, **service.headers[Caller.ADMIN]}
        request = HttpRequest(made.method, made.path, headers, made.body)
        connection = LeavingConnection(request, leave)
        calling = asyncio.create_task(
            service.app(connection.scope, connection.receive, connection.send)
        )
        await receiver.wait_for(1)
        leave.set()
        async with asyncio.timeout(10):
            while receiver.connection_count:
                await asyncio.sleep(0.01)
        await asyncio.wait([calling], timeout=10)

    assert calling.done()
    assert 1 == len(receiver.calls)


# zitadel#8205


async def test_a_typo_that_stops_everything_can_be_undone(service: Service):
    """
    In ZITADEL an operator who binds a broken target to every request has locked himself out.
    """
    target = (await make(service, NOBODY, interrupts=True))["id"]
    bound = {"condition": EVERYTHING, "targets": [target]}

    async def stopped(wire: Wire) -> bool:
        result = await service.answer("InterceptRequest", {"fullMethod": "/a.B/C"}, wire=wire)
        assert result.message is not None or FAILED == heard(result)
        return result.message is None

    async with Receiver(host=HOST) as receiver:
        for wire in Wire:
            ask = partial(service.ask, wire=wire)
            await ask("SetExecution", bound)
            assert await stopped(wire)
            await ask("UpdateTarget", {"id": target, "endpoint": receiver.url})
            assert not await stopped(wire)
            await ask("UpdateTarget", {"id": target, "endpoint": NOBODY})
            assert await stopped(wire)
            await ask("SetExecution", {"condition": EVERYTHING})
            assert not await stopped(wire)
            await ask("SetExecution", bound)
            assert await stopped(wire)
            await ask("DeleteTarget", {"id": target})
            assert not await stopped(wire)
            target = (await make(service, NOBODY, interrupts=True))["id"]
            bound["targets"] = [target]

    assert len(Wire) == len(receiver.calls)


@pytest.mark.parametrize(
    "method",
    [
        "/zitadel.action.v2.ActionService/SetExecution",
        "/zitadel.action.v2beta.ActionService/UpdateTarget",
        "/zitadel.webkey.v2.WebKeyService/CreateWebKey",
        "/zitadel.webkey.v2beta.WebKeyService/CreateWebKey",
        "/outrider.v1.TargetPolicyService/SetTargetPolicy",
        "/outrider.v1.AnyService/AnyMethod",
    ],
)
async def test_a_gateway_that_asks_about_our_own_calls_is_not_stopped_either(
    service: Service, method: str
):
    """
    Some put outrider behind the API that it intercepts: the way to repair must stay open there, too.
    """
    target = (await make(service, NOBODY, interrupts=True))["id"]
    for kind in ("request", "response"):
        condition = {kind: {"all": True}}
        await service.ask("SetExecution", {"condition": condition, "targets": [target]})
    asked = {"fullMethod": method, "request": {"a": 1}, "response": {"b": 1}}
    response = await service.ask("InterceptResponse", asked)
    del asked["response"]
    request = await service.ask("InterceptRequest", asked)
    await service.ask("DeleteTarget", {"id": target})

    assert {"request": {"a": 1.0}} == request
    assert {"response": {"b": 1.0}} == response
