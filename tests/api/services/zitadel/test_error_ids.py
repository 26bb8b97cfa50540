"""Every error id that ZITADEL documents is answered by a call of ours, or the vector has the reason why none is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.calls.modules import modules_with_rows
from api.calls.receiver import NOBODY
from api.calls.runner import check_on
from api.calls.service import Service, running
from api.calls.steps import of_type, webhook
from api.calls.table import Caller, ExpectedError, Row
from api.services.zitadel.test_public_keys import KEY, encoded, spki
from api.wires import Result, Wire, method_named
from outrider.adapters.crypto.jose import KeyPairs
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider_api.zitadel.webkey.v2.webkey_service_connect import WebKeyService

pytestmark = pytest.mark.asyncio(loop_scope="module")

VECTORS = Path(__file__).parents[4] / "vectors" / "error_ids.json"
CASES = json.loads(VECTORS.read_text())["cases"]
REACHABLE = {case["id"]: case for case in CASES if "unreachable" not in case}
UNREACHABLE = {case["id"]: case for case in CASES if "unreachable" in case}


def rows() -> Iterator[Row]:
    """Every row of every table."""
    for module in modules_with_rows(Path(__file__).stem, "test_table"):
        for value in vars(module).values():
            if isinstance(value, list | tuple):
                yield from (row for row in value if isinstance(row, Row))


# The first row with each id, and with its documented code where one id has several codes: any of
# them proves that it is answered.
FIRST: dict[str, Row] = {}
for found in rows():
    if isinstance(found.expected, ExpectedError) and (error_id := found.expected.id):
        is_documented = REACHABLE.get(error_id, {}).get("code") == found.expected.code
        known = FIRST.get(error_id)
        if known is None or (is_documented and known.expected.code != found.expected.code):
            FIRST[error_id] = found
# What needs more than a row has: other services, and time that goes by.
OWN = {"ErrPublicKeyExpired", "COMMAND-teiG3", "COMMAND-Chai1"}
OWN |= {"QUERY-Opoh7", "EXEC-2n8fhs7g", "EXEC-3n8fhs7g"}


def documented(case: dict[str, Any]) -> tuple[str, str, str]:
    """The error of an id in the vector."""
    return case["code"], f"{case['text']} ({case['id']})", case["id"]


def answered(result: Result[Any]) -> tuple[str, str, str | None]:
    """The error of an answer."""
    return result.code, result.text, result.detail_id


async def test_every_id_that_can_be_answered_is_answered_by_a_call():
    """
    Support finds an error by its id, and a client may branch on it: none is promised in vain.
    """
    assert set(REACHABLE) == (set(FIRST) | OWN) & {case["id"] for case in CASES}
    assert set() == set(FIRST) & OWN


async def test_what_no_call_is_answered_with_has_its_reason():
    """
    A new way to it must be noticed: then it needs a row.
    """
    assert set() == set(UNREACHABLE) & set(FIRST)
    assert all(entry["unreachable"] for entry in UNREACHABLE.values())
    assert len(CASES) == len(REACHABLE) + len(UNREACHABLE)


@pytest.mark.parametrize("error_id", sorted(set(REACHABLE) - OWN))
async def test_the_row_expects_the_documented_error(service: Service, error_id: str):
    """
    Code and text belong to the id: clients in other languages compare all three.
    """
    expected = FIRST[error_id].expected

    assert isinstance(expected, ExpectedError)
    assert documented(REACHABLE[error_id]) == (expected.code, expected.wire_text, expected.id)
    await check_on(service, FIRST[error_id], Wire.CONNECT_JSON)


async def test_a_key_that_has_expired_is_not_activated(service: Service):
    """
    Nothing could be encrypted with it.
    """
    target = (await service.ask("CreateTarget", webhook(name="with a key")))["id"]
    soon = service.clock.now + timedelta(minutes=1)
    request = {"targetId": target, "publicKey": KEY, "expirationDate": soon.isoformat()}
    added = await service.ask("AddPublicKey", request)
    service.clock.now = soon
    ids = {"targetId": target, "keyId": added["keyId"]}

    for wire in Wire:
        refused = await service.answer("ActivatePublicKey", ids, wire=wire)
        assert documented(REACHABLE["ErrPublicKeyExpired"]) == answered(refused)


async def test_web_keys_refuse_with_their_ids(service: Service):
    """
    The key that signs stays, and one that does not exist signs nothing.
    """
    await ManageWebKeys(service.store, service.runtime, KeyPairs()).ensure_first(service.instance)

    async def answer(rpc: str, **request: str) -> Result[Any]:
        method = method_named(WebKeyService.desc(), rpc)
        message = method.input.type.from_json(json.dumps(request))
        headers = service.headers[Caller.ADMIN]
        return await service.client.call(
            Wire.GRPC, method.parent, rpc, message, method.output.type, headers
        )

    listed = json.loads((await answer("ListWebKeys")).message.to_json())["webKeys"]
    (active,) = [web_key["id"] for web_key in listed if web_key["state"] == "STATE_ACTIVE"]

    assert documented(REACHABLE["COMMAND-teiG3"]) == answered(
        await answer("ActivateWebKey", id="1")
    )
    assert documented(REACHABLE["COMMAND-Chai1"]) == answered(
        await answer("DeleteWebKey", id=active)
    )


async def test_what_cannot_be_signed_or_encrypted_stops_the_call(tmp_path: Path):
    """
    Nothing is ever sent in a weaker form than its receiver was promised.
    """
    async with running(tmp_path) as service:

        async def stopped_by(error_id: str) -> None:
            # Keys are noticed within a second; a change of executions is, and all before it, now.
            await service.ask("SetExecution", everything)
            for wire in Wire:
                asked = {"fullMethod": "/a.B/C"}
                refused = await service.answer("InterceptRequest", asked, wire=wire)
                assert documented(REACHABLE[error_id]) == answered(refused)
                assert target == refused.target_id

        secret = of_type("restCall", interrupts=True, name="secret", endpoint=NOBODY)
        secret["payloadType"] = "PAYLOAD_TYPE_JWE"
        target = (await service.ask("CreateTarget", secret))["id"]
        everything = {"condition": {"request": {"all": True}}, "targets": [target]}
        await stopped_by("QUERY-Opoh7")

        web_keys = ManageWebKeys(service.store, service.runtime, KeyPairs())
        await web_keys.ensure_first(service.instance)
        await stopped_by("EXEC-2n8fhs7g")

        weak = encoded(spki(ec.generate_private_key(ec.SECP224R1())))
        added = await service.ask("AddPublicKey", {"targetId": target, "publicKey": weak})
        ids = {"targetId": target, "keyId": added["keyId"]}
        await service.ask("ActivatePublicKey", ids)
        await stopped_by("EXEC-3n8fhs7g")
