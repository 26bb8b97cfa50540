"""Web keys over every wire, in v2 and v2beta (docs/contract.md#web-keys)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from api.calls.matching import is_id
from api.calls.service import Service, running
from api.calls.table import Caller
from api.wires import HttpRequest, Result, Wire, has_route, method_named
from outrider.adapters.crypto.jose import KeyPairs
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider_api.zitadel.webkey.v2.webkey_service_connect import WebKeyService
from outrider_api.zitadel.webkey.v2beta.webkey_service_connect import (
    WebKeyService as BetaWebKeyService,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = {"v2": WebKeyService.desc(), "v2beta": BetaWebKeyService.desc()}
RSA = {"rsa": {"bits": "RSA_BITS_2048", "hasher": "RSA_HASHER_SHA256"}}
KINDS = [
    *(
        {"rsa": {"bits": f"RSA_BITS_{bits}", "hasher": f"RSA_HASHER_SHA{hash_bits}"}}
        for bits, hash_bits in ((2048, 256), (2048, 384), (2048, 512), (3072, 256), (4096, 512))
    ),
    *({"ecdsa": {"curve": f"ECDSA_CURVE_{curve}"}} for curve in ("P256", "P384", "P512")),
    {"ed25519": {}},
]
DEFINED = "value must be one of the defined enum values"
NOT_ZERO = "value must not be in list [0]"


@dataclass(frozen=True)
class Speaker:
    """A client of one version over one wire, and over Connect where REST has no route."""

    service: Service
    version: str
    wire: Wire

    async def answer(
        self, rpc: str, request: Mapping[str, Any] | None = None, caller: Caller = Caller.ADMIN
    ) -> Result[Any]:
        """Whatever a call is answered with."""
        method = method_named(SERVICES[self.version], rpc)
        wire = self.wire
        if wire is Wire.REST and not has_route(method):
            wire = Wire.CONNECT_JSON
        message = method.input.type.from_json(json.dumps(request or {}))
        headers = self.service.headers[caller]
        return await self.service.client.call(
            wire, method.parent, rpc, message, method.output.type, headers
        )

    async def ask(self, rpc: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a call that must succeed."""
        result = await self.answer(rpc, request)
        assert result.message is not None, f"{rpc} was refused: {result.code}, {result.text}"
        return dict(json.loads(result.message.to_json()))

    async def error_of(
        self, rpc: str, request: Mapping[str, Any], caller: Caller = Caller.ADMIN
    ) -> tuple[str, str, str | None]:
        """The code, the text and the id of a call that must fail."""
        result = await self.answer(rpc, request, caller)
        assert result.message is None, f"{rpc} was answered with {result.message}"
        return result.code, result.text, result.detail_id

    async def create(self) -> str:
        """The id of a new key of the quickest kind."""
        return (await self.ask("CreateWebKey", {"ed25519": {}}))["id"]

    async def listed(self) -> dict[str, dict[str, Any]]:
        """Every key by its id, in the order of the list."""
        return {
            web_key["id"]: web_key for web_key in (await self.ask("ListWebKeys")).get("webKeys", [])
        }

    async def active(self) -> str:
        """The id of the one active key."""
        keys = await self.listed()
        (found,) = [id_ for id_, web_key in keys.items() if web_key["state"] == "STATE_ACTIVE"]
        return found


async def give_first_keys(service: Service) -> None:
    """What the server does before it starts."""
    await ManageWebKeys(service.store, service.runtime, KeyPairs()).ensure_first(service.instance)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The API on its own store, with the first keys of an instance."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        await give_first_keys(opened)
        yield opened


@pytest.fixture(params=SERVICES)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=list(Wire), ids=str)
def caller(service: Service, version: str, request: pytest.FixtureRequest) -> Speaker:
    """Each version over each wire."""
    return Speaker(service, version, request.param)


@pytest.fixture
def one(service: Service) -> Speaker:
    """For what has nothing to do with the wire."""
    return Speaker(service, "v2", Wire.CONNECT_JSON)


async def test_a_fresh_instance_has_two_keys(tmp_path, version):
    """
    RSA 2048 with SHA-256, one active, the rest initial.
    """
    async with running(tmp_path) as fresh:
        await give_first_keys(fresh)
        keys = (await Speaker(fresh, version, Wire.REST).ask("ListWebKeys"))["webKeys"]

    assert ["STATE_ACTIVE", "STATE_INITIAL"] == [web_key["state"] for web_key in keys]
    assert [RSA["rsa"]] * 2 == [web_key["rsa"] for web_key in keys]
    assert all(is_id(web_key["id"]) for web_key in keys)
    assert all(
        {"id", "creationDate", "changeDate", "state", "rsa"} == set(web_key) for web_key in keys
    )


async def test_a_created_key_is_listed_last_and_waits(caller):
    """
    It is published, and signs nothing until an operator activates it.
    """
    before = await caller.listed()
    created = await caller.ask("CreateWebKey", {"ecdsa": {"curve": "ECDSA_CURVE_P384"}})
    after = await caller.listed()

    assert {"id", "creationDate"} == set(created)
    assert [*before, created["id"]] == list(after)
    assert {
        **created,
        "changeDate": created["creationDate"],
        "state": "STATE_INITIAL",
        "ecdsa": {"curve": "ECDSA_CURVE_P384"},
    } == after[created["id"]]


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_each_kind_of_key_is_listed_as_it_was_asked_for(one, version, kind):
    """
    To the bits and the hash.
    """
    caller = Speaker(one.service, version, Wire.CONNECT_PROTO)
    created = await caller.ask("CreateWebKey", kind)
    listed = (await caller.listed())[created["id"]]

    assert kind == {name: listed[name] for name in kind}
    assert 1 == len({"rsa", "ecdsa", "ed25519"} & set(listed))


async def test_who_asks_for_nothing_gets_rsa(caller):
    """
    An empty request is a valid one.
    """
    created = await caller.ask("CreateWebKey")

    assert RSA["rsa"] == (await caller.listed())[created["id"]]["rsa"]


async def test_activating_hands_over(caller):
    """
    One key signs; the former one stays published.
    """
    former, new = await caller.active(), await caller.create()
    answer = await caller.ask("ActivateWebKey", {"id": new})
    keys = await caller.listed()

    assert {"changeDate"} == set(answer)
    assert [
        ("STATE_INACTIVE", answer["changeDate"]),
        ("STATE_ACTIVE", answer["changeDate"]),
    ] == [(keys[id_]["state"], keys[id_]["changeDate"]) for id_ in (former, new)]
    assert answer["changeDate"] > keys[new]["creationDate"]


async def test_activating_again_answers_the_first_date(caller):
    """
    Nothing happens the second time.
    """
    key_id = await caller.create()
    first = await caller.ask("ActivateWebKey", {"id": key_id})
    before = await caller.listed()

    assert first == await caller.ask("ActivateWebKey", {"id": key_id})
    assert before == await caller.listed()


async def test_an_unknown_key_cannot_be_activated(caller):
    """
    Nor a deleted one.
    """
    gone = await caller.create()
    await caller.ask("DeleteWebKey", {"id": gone})

    for key_id in ("notexisting", gone):
        assert (
            "not_found",
            "Web key not found (COMMAND-teiG3)",
            "COMMAND-teiG3",
        ) == await caller.error_of("ActivateWebKey", {"id": key_id})


async def test_the_active_key_cannot_be_deleted(caller):
    """
    An instance that cannot sign would send nothing.
    """
    active = await caller.active()

    assert (
        "failed_precondition",
        "Cannot delete active web key (COMMAND-Chai1)",
        "COMMAND-Chai1",
    ) == await caller.error_of("DeleteWebKey", {"id": active})
    assert active == await caller.active()


async def test_deleting_twice_answers_one_date(caller):
    """
    A client that did not get the first answer asks again.
    """
    key_id = await caller.create()
    first = await caller.ask("DeleteWebKey", {"id": key_id})

    assert {"deletionDate"} == set(first)
    assert first == await caller.ask("DeleteWebKey", {"id": key_id})
    assert key_id not in await caller.listed()


async def test_deleting_an_unknown_key_has_no_date(caller):
    """
    And is no error.
    """
    before = await caller.listed()

    assert {} == await caller.ask("DeleteWebKey", {"id": "notexisting"})
    assert before == await caller.listed()


async def test_an_inactive_key_can_be_deleted(caller):
    """
    When receivers need not verify its signatures any more.
    """
    former = await caller.active()
    await caller.ask("ActivateWebKey", {"id": await caller.create()})

    assert {"deletionDate"} == set(await caller.ask("DeleteWebKey", {"id": former}))


@pytest.mark.parametrize(
    ("request_", "member", "cause"),
    [
        ({"rsa": {}}, "Rsa", f"RSA.Bits: {NOT_ZERO}"),
        ({"rsa": {"hasher": 1}}, "Rsa", f"RSA.Bits: {NOT_ZERO}"),
        ({"rsa": {"bits": 1}}, "Rsa", f"RSA.Hasher: {NOT_ZERO}"),
        ({"rsa": {"bits": 4, "hasher": 1}}, "Rsa", f"RSA.Bits: {DEFINED}"),
        ({"rsa": {"bits": 1, "hasher": 99}}, "Rsa", f"RSA.Hasher: {DEFINED}"),
        ({"ecdsa": {}}, "Ecdsa", f"ECDSA.Curve: {NOT_ZERO}"),
        ({"ecdsa": {"curve": 4}}, "Ecdsa", f"ECDSA.Curve: {DEFINED}"),
    ],
    ids=str,
)
async def test_half_a_choice_is_refused(one, version, request_, member, cause):
    """
    A caller must not get another key than the one it asked for.
    """
    caller = Speaker(one.service, version, Wire.GRPC)
    before = await caller.listed()
    code, text, detail = await caller.error_of("CreateWebKey", request_)

    assert ("invalid_argument", None) == (code, detail)
    assert text.startswith(f"invalid CreateWebKeyRequest.{member}: ")
    assert text.endswith(f"caused by: invalid {cause}")
    assert before == await caller.listed()


@pytest.mark.parametrize("rpc", ["ActivateWebKey", "DeleteWebKey"])
@pytest.mark.parametrize("key_id", ["", "x" * 201], ids=["empty", "too long"])
async def test_an_id_has_one_to_two_hundred_characters(one, version, rpc, key_id):
    """
    The same bounds as everywhere.
    """
    caller = Speaker(one.service, version, Wire.CONNECT_JSON)
    text = f"invalid {rpc}Request.Id: value length must be between 1 and 200 runes, inclusive"

    assert ("invalid_argument", text, None) == await caller.error_of(rpc, {"id": key_id})


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (Caller.NOBODY, ("unauthenticated", "auth header missing", None)),
        (Caller.UNKNOWN, ("unauthenticated", "Errors.Token.Invalid (AUTH-7fs1e)", "AUTH-7fs1e")),
        (Caller.ROLELESS, ("not_found", "membership not found (AUTHZ-cdgFk)", "AUTHZ-cdgFk")),
        *(
            (
                who,
                (
                    "permission_denied",
                    "No matching permissions found (AUTH-5mWD2)",
                    "AUTH-5mWD2",
                ),
            )
            for who in (Caller.VIEWER, Caller.PUBLISHER, Caller.ORG_OWNER)
        ),
    ],
    ids=str,
)
async def test_only_an_owner_changes_keys(caller, who, expected):
    """
    An operator who activates a key decides which key every receiver has to trust.
    """
    before = await caller.listed()
    key_id = list(before)[-1]

    for rpc in ("CreateWebKey", "ActivateWebKey", "DeleteWebKey"):
        request = {} if rpc == "CreateWebKey" else {"id": key_id}
        assert expected == await caller.error_of(rpc, request, who)
    assert before == await caller.listed()


async def test_a_viewer_sees_the_keys(caller):
    """
    And no caller sees them without a role that may.
    """
    seen = await caller.answer("ListWebKeys", caller=Caller.VIEWER)

    assert len(await caller.listed()) == len(seen.message.web_keys)
    for who in (Caller.PUBLISHER, Caller.ORG_OWNER, Caller.NOBODY):
        code, _, _ = await caller.error_of("ListWebKeys", {}, who)
        assert code in {"permission_denied", "unauthenticated"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/web_keys", 405),
        ("POST", "/v2/web_keys/1/activate", 404),
        ("POST", "/v2beta/web_keys", 401),
        ("POST", "/v2beta/web_keys/1/activate", 401),
    ],
)
async def test_only_v2beta_creates_and_activates_over_rest(service, method, path, status):
    """
    As published; without a token a route that exists asks for one.
    """
    headers = {"content-type": "application/json"}
    answer = await service.client.exchange(HttpRequest(method, path, headers, b"{}"))

    assert status == answer.status
