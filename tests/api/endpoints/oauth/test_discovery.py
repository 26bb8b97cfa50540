"""What verifiers read in the discovery document: which algorithms they may accept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.access.tenants import two_tenants
from api.asgi_client import ApiClient, in_process
from api.calls.service import ADMIN_TOKEN, running
from api.endpoints.oauth.issuer import DISCOVERY_PATH
from api.services.zitadel.test_web_keys import Speaker, give_first_keys
from api.wires import HttpRequest, Wire
from outrider.bootstrap.api import open_api
from outrider.bootstrap.app_context import open_store
from outrider.config.loading import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS: dict[str, dict[str, Any]] = {
    "RS512": {"rsa": {"bits": "RSA_BITS_2048", "hasher": "RSA_HASHER_SHA512"}},
    "ES384": {"ecdsa": {"curve": "ECDSA_CURVE_P384"}},
    "EdDSA": {"ed25519": {}},
}
# OpenID Connect Discovery 1.0, section 3, without the endpoint of a login that there is not.
REQUIRED = {
    "issuer",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def nodes(tmp_path_factory) -> AsyncIterator[tuple[Speaker, ApiClient]]:
    """A service, and another process on the same store."""
    directory = tmp_path_factory.mktemp("service")
    settings = Settings(data_dir=directory, admin_token=ADMIN_TOKEN, master_key=bytes(range(32)))
    async with (
        running(directory) as service,
        open_store(settings, node=1) as context,
        open_api(settings, context) as app,
    ):
        await give_first_keys(service)
        yield Speaker(service, "v2", Wire.CONNECT_JSON), ApiClient(in_process(app))


async def algorithms(client: ApiClient) -> list[str]:
    """What a verifier may accept, as go-oidc reads it: RS256 alone when nothing is said."""
    answer = await client.exchange(HttpRequest("GET", DISCOVERY_PATH))
    assert "no-store" == answer.headers["cache-control"]
    return answer.json().get("id_token_signing_alg_values_supported") or ["RS256"]


async def test_the_algorithms_follow_the_keys_on_every_node(nodes):
    """
    A key counts from its creation on, because any may become active; a removed one no longer.
    """
    owner, other_node = nodes
    seen = []

    async def note():
        found = await algorithms(owner.service.client)
        assert found == await algorithms(other_node)
        seen.append(found)

    await note()
    made = {}
    for algorithm, kind in KINDS.items():
        made[algorithm] = (await owner.ask("CreateWebKey", kind))["id"]
        await note()
    await owner.ask("ActivateWebKey", {"id": made["EdDSA"]})
    await note()
    for algorithm in ("RS512", "ES384"):
        await owner.ask("DeleteWebKey", {"id": made[algorithm]})
        await note()

    assert [
        ["RS256"],
        ["RS256", "RS512"],
        ["ES384", "RS256", "RS512"],
        ["ES384", "EdDSA", "RS256", "RS512"],
        ["ES384", "EdDSA", "RS256", "RS512"],
        ["ES384", "EdDSA", "RS256"],
        ["EdDSA", "RS256"],
    ] == seen


async def test_what_the_standard_requires_is_there(nodes):
    """
    Nimbus, which Spring uses, refuses a document without `subject_types_supported`.
    """
    owner, _ = nodes
    document = (await owner.service.client.exchange(HttpRequest("GET", DISCOVERY_PATH))).json()

    assert REQUIRED <= set(document)
    assert "public" in document["subject_types_supported"]


async def test_every_published_key_is_usable_by_name_and_algorithm(nodes):
    """
    Libraries choose by `kid`, and pass over what is not for signing or has no algorithm.
    """
    owner, _ = nodes
    for kind in KINDS.values():
        await owner.ask("CreateWebKey", kind)
    published = (await owner.service.client.exchange(HttpRequest("GET", "/oauth/v2/keys"))).json()[
        "keys"
    ]

    assert await algorithms(owner.service.client) == sorted({jwk["alg"] for jwk in published})
    assert {"sig"} == {jwk["use"] for jwk in published}
    assert len(published) == len({jwk["kid"] for jwk in published})


async def test_an_instance_has_its_own_algorithms(tmp_path):
    """
    One tenant's choice says nothing about another's keys.
    """
    async with two_tenants(tmp_path) as (here, there):
        await there.ask("CreateWebKey", KINDS["EdDSA"])
        documents = [(await tenant.fetch("GET", DISCOVERY_PATH)).json() for tenant in (here, there)]

    found = [document["id_token_signing_alg_values_supported"] for document in documents]
    assert [["RS256"], ["EdDSA", "RS256"]] == found
