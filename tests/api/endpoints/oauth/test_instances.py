"""Every instance is a separate issuer, under its own host name."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from api.access.tenants import Tenant, two_tenants
from api.asgi_client import in_process
from api.endpoints.oauth.issuer import (
    CLIENT_CREDENTIALS,
    DISCOVERY_PATH,
    FORM,
    JWT_BEARER,
    TOKEN_PATH,
    claims_of,
    header_of,
    signed,
)
from api.wires import HttpRequest, method_named
from outrider.api.endpoints.issuers import Issuers
from outrider.api.endpoints.oauth import discovery
from outrider_api.zitadel.action.v2.action_service_connect import ActionService
from support.builders import ANOTHER_INSTANCE, INSTANCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS_PATH = "/oauth/v2/keys"
UNKNOWN = ("unauthenticated", "AUTH-7fs1e")


@dataclass(frozen=True)
class Robot:
    """A service account of one tenant."""

    home: Tenant
    id: str
    secret: str
    key_file: Mapping[str, str]

    async def log_in(self, at: Tenant) -> tuple[int, str]:
        """By its secret, at this tenant's host: the status, and the token or what is wrong."""
        return await granted(
            at,
            grant_type=CLIENT_CREDENTIALS,
            client_id=self.id,
            client_secret=self.secret,
        )

    async def assert_itself(self, at: Tenant, audience: str) -> tuple[int, str]:
        """By its key, with an assertion for this audience."""
        now = int(at.service.clock.now.timestamp())
        claims = {"iss": self.id, "sub": self.id, "aud": audience, "iat": now, "exp": now + 60}
        header = {"alg": "RS256", "kid": self.key_file["keyId"]}
        assertion = signed(claims, self.key_file["key"], header)
        return await granted(at, grant_type=JWT_BEARER, assertion=assertion)


async def granted(at: Tenant, **form: str) -> tuple[int, str]:
    """What the token endpoint answers."""
    body = urlencode(form).encode()
    answer = await at.fetch("POST", TOKEN_PATH, body, content_type=FORM)
    body = answer.json()
    return answer.status, body.get("access_token") or body["error"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def robots(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Robot, Robot]]:
    """One of each tenant."""
    async with two_tenants(tmp_path_factory.mktemp("service")) as (here, there):
        yield await new_robot(here), await new_robot(there)


async def new_robot(tenant: Tenant) -> Robot:
    """With a secret and a key."""
    made = await tenant.ask("CreateAccount", {"name": "robot", "roles": ["IAM_OWNER"]})
    of_account = {"accountId": made["id"]}
    secret = await tenant.ask("CreateAccountSecret", of_account)
    created = await tenant.ask("CreateAccountKey", of_account)
    key_file = json.loads(base64.b64decode(created["keyFile"]))
    return Robot(tenant, made["id"], secret["clientSecret"], key_file)


async def seen(tenant: Tenant, token: str) -> tuple[str, str | None]:
    """How a call with this token ends at a tenant's host."""
    caller = Tenant(tenant.service, tenant.id, tenant.host, token)
    result = await caller.answer(method_named(ActionService.desc(), "ListTargets"), {})
    return result.code, result.detail_id


async def test_a_secret_is_known_at_home_alone(robots):
    """
    Elsewhere there is no such account.
    """
    ours, theirs = robots
    status, _ = await ours.log_in(ours.home)

    assert 200 == status
    assert (401, "invalid_client") == await ours.log_in(theirs.home)


async def test_an_assertion_is_taken_at_home_alone(robots):
    """
    For any audience: the key is another instance's.
    """
    ours, theirs = robots
    status, _ = await ours.assert_itself(ours.home, "http://a.test")

    assert 200 == status
    assert (400, "invalid_grant") == await ours.assert_itself(ours.home, "http://b.test")
    for audience in ("http://a.test", "http://b.test"):
        assert (400, "invalid_grant") == await ours.assert_itself(theirs.home, audience)


async def test_an_access_token_is_known_at_home_alone(robots):
    """
    Its issuer is its instance, and so is its audience.
    """
    ours, theirs = robots
    _, token = await ours.log_in(ours.home)

    assert ("http://a.test", [ours.home.id]) == (
        claims_of(token)["iss"],
        claims_of(token)["aud"],
    )
    assert ("ok", None) == await seen(ours.home, token)
    assert UNKNOWN == await seen(theirs.home, token)
    assert UNKNOWN == await seen(Tenant(ours.home.service, "", "elsewhere.test", ""), token)


async def test_each_publishes_its_own_keys(robots):
    """
    One that verified what another signed would let the other's tokens in.
    """
    ours, theirs = robots
    published = [
        {jwk["kid"] for jwk in (await robot.home.fetch("GET", KEYS_PATH)).json()["keys"]}
        for robot in robots
    ]
    _, token = await ours.log_in(ours.home)

    assert [2, 2] == [len(kids) for kids in published]
    assert set() == published[0] & published[1]
    assert header_of(token)["kid"] in published[0]
    assert theirs.home.id != ours.home.id


async def test_discovery_names_the_host_that_was_asked(robots):
    """
    Clients of an instance never hear of another's name.
    """
    documents = [(await robot.home.fetch("GET", DISCOVERY_PATH)).json() for robot in robots]

    assert ["http://a.test", "http://b.test"] == [document["issuer"] for document in documents]
    assert [f"http://{host}.test{KEYS_PATH}" for host in "ab"] == [
        document["jwks_uri"] for document in documents
    ]


@pytest.mark.parametrize(
    ("external_url", "host", "issuer"),
    [
        ("https://o.example:8443/base/", "o.example", "https://o.example:8443/base"),
        ("https://o.example:8443/base/", "a.test:1", "https://a.test:8443/base"),
        ("https://o.example", "A.test.", "https://a.test"),
        ("https://o.example", "[2::0]:9", "https://[2::]"),
        ("", "A.test:80", "http://A.test:80"),
    ],
)
async def test_the_setting_says_what_is_around_a_host_name(external_url, host, issuer):
    """
    Behind a proxy each instance is reached with the scheme and the port of the others.
    """

    def resolve_instance(authority: str):
        return INSTANCE if authority == "o.example" else ANOTHER_INSTANCE

    async def no_keys(_instance):
        return []

    app = discovery(Issuers(resolve_instance, INSTANCE, external_url), no_keys)
    answer = await in_process(app)(HttpRequest("GET", DISCOVERY_PATH, {"host": host}))

    assert issuer == answer.json()["issuer"]
