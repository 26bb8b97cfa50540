"""Web keys by ZITADEL's own client library for Python, and their JWK set, from a real server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from clients.zitadel_library import models, zitadel
from system.server import Server

PATH = "/oauth/v2/keys"
RSA = {"bits": "RSA_BITS_2048", "hasher": "RSA_HASHER_SHA256"}
KINDS = [
    {"rsa": {"bits": "RSA_BITS_3072", "hasher": "RSA_HASHER_SHA512"}},
    {"ecdsa": {"curve": "ECDSA_CURVE_P512"}},
    {"ed25519": {}},
]


@pytest.fixture(params=["webkeys", "beta_webkeys"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The library's part for web keys, of v2 and of v2beta."""
    with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
        yield WebKeysClient(getattr(connected, request.param))


class WebKeysClient:
    """The same four calls with the models of either version."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._prefix = type(api).__name__.removesuffix("Api")

    def create(self, **kind: Any) -> Any:
        return self._api.create_web_key(self._model("CreateWebKeyRequest").from_dict(kind))

    def activate(self, key_id: str) -> Any:
        return self._api.activate_web_key(self._model("ActivateWebKeyRequest")(id=key_id))

    def delete(self, key_id: str) -> Any:
        return self._api.delete_web_key(self._model("DeleteWebKeyRequest")(id=key_id))

    def listed(self) -> dict[str, Any]:
        """Every key by its id."""
        return {web_key.id: web_key for web_key in self._api.list_web_keys({}).web_keys}

    def active(self) -> str:
        (found,) = [
            web_key.id for web_key in self.listed().values() if web_key.state == "STATE_ACTIVE"
        ]
        return found

    def _model(self, name: str) -> Any:
        return getattr(models, f"{self._prefix}{name}")


def fetch(url: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    """The JWK set, without a token."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, PATH)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def kids(server: Server) -> set[str]:
    """The published keys."""
    _, body = fetch(server.url)
    return {jwk["kid"] for jwk in json.loads(body)["keys"]}


def test_a_new_server_has_two_keys(server):
    """
    The first signs, the second waits.
    """
    with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
        first, second = list(WebKeysClient(connected.webkeys).listed().values())[:2]

    assert ["STATE_ACTIVE", "STATE_INITIAL"] == [first.state.value, second.state.value]
    assert [RSA, RSA] == [web_key.rsa.model_dump(mode="json") for web_key in (first, second)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: next(iter(kind)))
def test_each_kind_of_key_comes_back_as_itself(client, kind):
    """
    The library tells kinds by which field is there.
    """
    created = client.create(**kind)
    listed = client.listed()[created.id].model_dump(mode="json", exclude_none=True)

    assert kind == {name: listed[name] for name in ("rsa", "ecdsa", "ed25519") if name in listed}
    assert "STATE_INITIAL" == listed["state"]


def test_the_life_of_a_key(client, server):
    """
    Made, published, activated, replaced, deleted, gone.
    """
    former, created = client.active(), client.create(ed25519={})
    activated = client.activate(created.id)
    client.activate(former)
    states = {key_id: web_key.state.value for key_id, web_key in client.listed().items()}
    published = kids(server)
    deleted, again = client.delete(created.id), client.delete(created.id)

    assert {former: "STATE_ACTIVE", created.id: "STATE_INACTIVE"} == {
        key_id: states[key_id] for key_id in (former, created.id)
    }
    assert created.creation_date < activated.change_date < deleted.deletion_date
    assert deleted.deletion_date == again.deletion_date
    assert created.id in published
    assert created.id not in kids(server)
    assert created.id not in client.listed()


def test_an_unknown_key_has_no_date_of_deletion(client):
    """
    And is no error.
    """
    assert None is client.delete("notexisting").deletion_date


@pytest.mark.parametrize(
    ("call", "status", "error_id"),
    [("delete", 400, "COMMAND-Chai1"), ("activate", 404, "COMMAND-teiG3")],
)
def test_a_refusal_is_the_librarys_error(client, call, status, error_id):
    """
    With the status and the id that its users check.
    """
    key_id = client.active() if call == "delete" else "notexisting"

    with pytest.raises(zitadel.ApiError) as raised:
        getattr(client, call)(key_id)
    body = raised.value.response_body

    assert (status, error_id) == (raised.value.code, body["details"][0]["debug"]["id"])


def test_the_keys_are_published_by_the_real_server(server):
    """
    Also to who asks for the headers only.
    """
    answer, body = fetch(server.url)
    head, nothing = fetch(server.url, "HEAD")

    assert (200, 200, b"") == (answer.status, head.status, nothing)
    assert {"max-age=300, must-revalidate"} == {
        response.getheader("cache-control") for response in (answer, head)
    }
    assert {"application/json"} == {
        response.getheader("content-type") for response in (answer, head)
    }
    assert {"RSA"} <= {jwk["kty"] for jwk in json.loads(body)["keys"]}
    assert 405 == fetch(server.url, "DELETE")[0].status


async def test_keys_stay_when_the_server_starts_again(tmp_path):
    """
    New keys at every start would make receivers doubt what was signed before.
    """
    server = Server(tmp_path / "data")
    try:
        _, before = fetch((await server.ready()).url)
        await server.stop()
        server = Server(tmp_path / "data")
        _, after = fetch((await server.ready()).url)
    finally:
        server.kill()

    assert 2 == len(json.loads(before)["keys"])
    assert before == after
