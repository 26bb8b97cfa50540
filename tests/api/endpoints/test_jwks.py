"""`/oauth/v2/keys`: the keys with which a receiver verifies what outrider has signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import KeySet

from api.calls.service import Service, running
from api.wires import HttpRequest, HttpResponse
from outrider.adapters.crypto.jose import KeyPairs, sign_jws
from outrider.domain.access.permission import Actor, Role
from outrider.domain.access.web_key import ecdsa_config, ed25519_config, rsa_config
from outrider.usecases.access.web_keys import ManageWebKeys, UseWebKeys

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/oauth/v2/keys"
CONFIGS = {
    "RS256": rsa_config(2048, 256),
    "RS384": rsa_config(2048, 384),
    "RS512": rsa_config(3072, 512),
    "ES256": ecdsa_config("P-256"),
    "ES384": ecdsa_config("P-384"),
    "ES512": ecdsa_config("P-521"),
    "EdDSA": ed25519_config(),
}
NUMBERS = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}


@dataclass(frozen=True)
class Instance:
    """One instance, with an owner who changes its keys and a receiver who reads them."""

    service: Service
    keys: ManageWebKeys
    owner: Actor

    async def fetch(self, method: str = "GET", path: str = PATH, **headers: str) -> HttpResponse:
        """The answer to any client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.service.client.exchange(HttpRequest(method, path, named))

    async def published(self) -> dict[str, dict[str, Any]]:
        """The published keys by their ids."""
        return {jwk["kid"]: jwk for jwk in (await self.fetch()).json()["keys"]}

    async def activated(self, algorithm: str) -> str:
        """The id of a new key that signs from now on."""
        web_key = await self.keys.create(self.owner, CONFIGS[algorithm])
        await self.keys.activate(self.owner, web_key.id)
        return web_key.id

    async def signed(self, payload: bytes) -> str:
        """What a target would get."""
        signing = await UseWebKeys(self.service.store).signing_key(self.owner.instance_id)
        return sign_jws(payload, signing).decode()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def instance(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """With the first keys that an instance has."""
    async with running(tmp_path_factory.mktemp("service")) as service:
        keys = ManageWebKeys(service.store, service.runtime, KeyPairs())
        await keys.ensure_first(service.instance)
        yield Instance(service, keys, Actor(service.instance, "1", frozenset({Role.IAM_OWNER})))


async def test_no_token_is_needed(instance):
    """
    Receivers have no account here; five minutes are what they may keep it.
    """
    answer = await instance.fetch()

    assert 200 == answer.status
    assert "application/json" == answer.headers["content-type"]
    assert "max-age=300, must-revalidate" == answer.headers["cache-control"]
    assert str(len(answer.body)) == answer.headers["content-length"]
    assert {"keys"} == set(answer.json())


@pytest.mark.parametrize("algorithm", CONFIGS)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_what_is_signed_verifies_with_what_is_published(instance, algorithm):
    """
    With every algorithm, as a receiver does it: fetch, find the key by `kid`, verify.
    """
    key_id = await instance.activated(algorithm)
    compact = await instance.signed(b'{"event_type":"user.human.added"}')
    keys = KeySet.import_key_set((await instance.fetch()).json())
    found = jws.deserialize_compact(compact, keys, [algorithm])

    assert b'{"event_type":"user.human.added"}' == found.payload
    assert {"alg": algorithm, "kid": key_id, "typ": "JWT"} == found.headers()


@pytest.mark.parametrize("algorithm", CONFIGS)
async def test_a_member_has_its_public_numbers_and_no_other(instance, algorithm):
    """
    One member too many could be the private key.
    """
    key_id = await instance.activated(algorithm)
    member = (await instance.published())[key_id]

    assert {"kid", "alg", "use", "kty"} | NUMBERS[member["kty"]] == set(member)
    assert (algorithm, "sig") == (member["alg"], member["use"])


async def test_keys_are_published_before_and_after_they_sign(instance):
    """
    Receivers know a key before it is needed, and verify later what it has signed.
    """
    waiting = await instance.keys.create(instance.owner, CONFIGS["EdDSA"])
    former = await instance.activated("EdDSA")
    active = await instance.activated("ES256")

    assert {waiting.id, former, active} <= set(await instance.published())


async def test_keys_are_in_the_order_of_their_creation(instance):
    """
    The same as in ListWebKeys, and all of them.
    """
    await instance.keys.create(instance.owner, CONFIGS["EdDSA"])
    listed = await instance.keys.list(instance.owner)

    assert [web_key.id for web_key in listed] == list(await instance.published())


async def test_a_removed_key_is_not_published(instance):
    """
    No receiver trusts it from then on.
    """
    gone = await instance.keys.create(instance.owner, CONFIGS["EdDSA"])
    before = await instance.published()
    await instance.keys.delete(instance.owner, gone.id)

    assert set(before) - {gone.id} == set(await instance.published())
    assert gone.id in before


async def test_another_instances_keys_are_not_published(instance):
    """
    One tenant's key must not be trusted with another's events.
    """
    stranger = Actor("another", "1", frozenset({Role.IAM_OWNER}))
    theirs = await instance.keys.create(stranger, CONFIGS["EdDSA"])

    assert theirs.id not in await instance.published()


async def test_a_head_has_the_headers_and_no_body(instance):
    """
    Caches ask so.
    """
    whole, head = await instance.fetch(), await instance.fetch("HEAD")

    assert (200, b"") == (head.status, head.body)
    assert whole.headers == head.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_told_which_to_use(instance, method):
    """
    405 with what is allowed (RFC 9110, section 15.5.6).
    """
    answer = await instance.fetch(method)

    assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])
    text = f"Method Not Allowed: send GET or HEAD {PATH} instead of {method}"
    assert {"code": "unimplemented", "message": text} == answer.json()


@pytest.mark.parametrize("path", [f"{PATH}/", f"{PATH}/1", f"{PATH}x", "/oauth/v2", "/oauth/v2/"])
async def test_no_other_path_is_this_one(instance, path):
    """
    Nothing hides behind it.
    """
    answer = await instance.fetch(path=path)

    assert (404, {"code": "not_found", "message": "Not Found"}) == (answer.status, answer.json())


async def test_a_query_changes_nothing(instance):
    """
    Some clients add one to get past their caches.
    """
    assert (await instance.fetch()).body == (await instance.fetch(path=f"{PATH}?now=1")).body


async def test_pages_of_every_origin_may_read_it(instance):
    """
    It is public; a browser only has to be told.
    """
    answer = await instance.fetch(origin="https://page.example")
    preflight = await instance.fetch(
        "OPTIONS", origin="https://page.example", access_control_request_method="GET"
    )

    assert (200, "https://page.example") == (
        answer.status,
        answer.headers["access-control-allow-origin"],
    )
    assert (204, "https://page.example") == (
        preflight.status,
        preflight.headers["access-control-allow-origin"],
    )
