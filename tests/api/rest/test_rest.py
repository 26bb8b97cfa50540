"""REST: one face more for the same procedures."""

from __future__ import annotations

import json

import pytest
from protobuf import Oneof

from api.asgi_client import ApiClient
from api.sample import OWNER
from api.wires import HttpRequest, HttpResponse
from outrider.api.rest.request import BadRequestError, message_json
from outrider.api.rest.routes import Routes, path_segments, route_of
from outrider_api.google.api.http_pb import HttpRule
from outrider_api.zitadel.action.v2.action_service_connect import ActionService

TARGETS = "/v2/actions/targets"
ROUTES = Routes([ActionService.desc()])


async def send(
    client: ApiClient, verb: str, path: str, body: bytes = b"", **headers: str
) -> HttpResponse:
    """A request with the owner's token."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.exchange(HttpRequest(verb, path, OWNER | named, body))


async def test_an_answer_is_the_procedures_json(client: ApiClient):
    """
    Default values are left out, names are in lower camel case.
    """
    body = b'{"name": "n", "endpoint": "https://e", "rest_async": {"interruptOnError": false}}'
    response = await send(client, "POST", TARGETS, body, content_type="application/json")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.body))
    assert response.json() == {
        "id": "owner",
        "creationDate": "1970-01-01T00:00:00Z",
        "signingKey": "n",
    }


async def test_an_error_has_its_first_detail_in_a_separate_field(client: ApiClient):
    """
    That is the shape which the API reference documents.
    """
    response = await send(client, "GET", f"{TARGETS}/missing")
    detail = {
        "type": "zitadel.v1.ErrorDetail",
        "value": "ChBRVUVSWS1oajVvYW5peXJ6EhBUYXJnZXQgbm90IGZvdW5k",
        "debug": {"id": "QUERY-hj5oaniyrz", "message": "Target not found"},
        "@type": "type.googleapis.com/zitadel.v1.ErrorDetail",
        "id": "QUERY-hj5oaniyrz",
        "message": "Target not found",
    }
    assert response.status == 404
    assert response.json() == {
        "code": "not_found",
        "message": "Target not found (QUERY-hj5oaniyrz)",
        "detail": detail,
        "details": [detail],
    }


async def test_an_error_without_detail_has_neither_member(client: ApiClient):
    """
    Absent is absent, not null.
    """
    response = await send(client, "GET", f"{TARGETS}/plain")
    assert response.json() == {"code": "invalid_argument", "message": "no id, no detail"}


async def test_a_call_without_token_is_challenged(client: ApiClient):
    """
    RFC 9110 asks for the header with every 401.
    """
    response = await client.exchange(HttpRequest("GET", f"{TARGETS}/1"))
    assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json() == {"code": "unauthenticated", "message": "auth header missing"}


async def test_the_path_wins_over_the_body(client: ApiClient):
    """
    Whichever way the body spells the field.
    """
    for name in ("id", "targetId"):
        body = json.dumps({name: "other", "name": "n"}).encode()
        response = await send(client, "POST", f"{TARGETS}/7", body)
        assert response.json() == {"signingKey": "7 n"}


@pytest.mark.parametrize(
    ("path", "id_"),
    [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("%C3%BC", "ü"),
        ("a+b", "a+b"),
        ("a:b@c", "a:b@c"),
        ("search%2F", "search/"),
    ],
)
async def test_a_variable_is_decoded_by_itself(client: ApiClient, path: str, id_: str):
    """
    An encoded slash belongs to the id and divides nothing.
    """
    response = await send(client, "GET", f"{TARGETS}/{path}")
    assert response.json()["target"]["id"] == id_


async def test_an_unknown_path_is_not_found(client: ApiClient):
    """
    In JSON, as every other error.
    """
    for path in (
        "/v2/actions/nope",
        f"{TARGETS}/1/2",
        "/v2",
        "//",
        "/robots.txt",
        f"/{'v2/' * 1000}",
        f"/v2/actions/{'targets' * 500}",
    ):
        response = await send(client, "GET", path)
        assert (response.status, response.json()) == (
            404,
            {"code": "not_found", "message": "Not Found"},
        )


async def test_a_known_path_with_another_verb_names_the_verbs(client: ApiClient):
    """
    The caller is nearly there.
    """
    response = await send(client, "PUT", f"{TARGETS}/1")
    assert (response.status, response.headers["allow"]) == (405, "DELETE, GET, POST")
    text = f"Method Not Allowed: send DELETE, GET or POST {TARGETS}/{{id}} instead of PUT"
    assert response.json() == {"code": "unimplemented", "message": text}


async def test_an_empty_body_is_an_empty_message(client: ApiClient):
    """
    curl -X POST without -d is how people try a search.
    """
    for path in (TARGETS, f"{TARGETS}/1/publickeys"):
        response = await send(client, "POST", path)
        assert response.json()["code"] == "invalid_argument"
        assert response.json()["message"].startswith("invalid ")


async def test_a_body_that_no_route_reads_is_ignored(client: ApiClient):
    """
    Some clients send one with every verb.
    """
    response = await send(client, "GET", f"{TARGETS}/1", b"{not json", content_type="text/plain")
    assert response.json()["target"]["id"] == "1"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_json_is_an_unsupported_media_type(client: ApiClient, kind: str):
    """
    curl -d says form by default; the text tells what to say instead.
    """
    response = await send(client, "POST", TARGETS, b"{}", content_type=kind)
    assert (response.status, response.json()["code"]) == (415, "invalid_argument")
    assert "application/json" in response.json()["message"]


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"{", b'{"a": NaN}', b"[" * 100_000])
async def test_a_bad_body_with_a_path_is_an_invalid_argument(client: ApiClient, body: bytes):
    """
    Here the body is read before the message codec sees it.
    """
    response = await send(client, "POST", f"{TARGETS}/1", body)
    assert (response.status, response.json()["code"]) == (400, "invalid_argument")
    assert response.json()["message"].startswith("the body ")


async def test_a_path_that_is_not_utf8_is_an_invalid_argument(client: ApiClient):
    """
    No id looks like that.
    """
    response = await send(client, "GET", f"{TARGETS}/%FF")
    assert (response.status, response.json()["message"]) == (400, "the path is not UTF-8")


def made(verb: str, path: str, query: bytes = b"", body: bytes = b"") -> dict:
    """The message that a request of ActionService becomes."""
    match = ROUTES.find(verb, path_segments(path, None))
    assert match is not None
    return json.loads(message_json(match, query, body))


def test_a_query_fills_what_the_path_leaves_open():
    """
    The usual rule of gateways; what the message does not have is ignored.
    """
    path = f"{TARGETS}/1/publickeys/2/activate"
    assert made("POST", path, b"x=1&target_id=9&keyId=8") == {"targetId": "1", "keyId": "2"}


def test_a_query_becomes_json_of_the_right_kind():
    """
    protobuf's JSON takes numbers as strings, but not booleans, and has names for enums.
    """
    desc = ActionService.desc()
    rule = HttpRule(pattern=Oneof("get", "/list"))
    listing = next(method for method in desc.methods if method.name == "ListPublicKeys")
    route = route_of(listing, rule)
    match = ROUTES.find("GET", path_segments(f"{TARGETS}/1", None))
    assert match is not None
    query = b"pagination.limit=5&pagination.asc=true&sortingColumn=1&pagination=x&filters.x=1&a.b=1"
    message = message_json(type(match)(route, ()), query, b"")
    assert json.loads(message) == {"pagination": {"limit": "5", "asc": True}, "sortingColumn": 1}


@pytest.mark.parametrize("query", [b"a=%FF", b"a=\xff", b"&".join([b"a=1"] * 101)])
def test_a_query_that_cannot_be_read_is_refused(query: bytes):
    """
    Without a limit, a query could make the server split for ever.
    """
    with pytest.raises(BadRequestError):
        made("GET", f"{TARGETS}/1", query)


def test_a_route_that_cannot_be_served_stops_the_server():
    """
    Better at the start than as an unexpected 404.
    """
    method = ActionService.desc().methods[0]
    for template in ("/v2/{name=targets/*}", "/v2/**", "/v2/a:verb", "/v2/{unknown}"):
        with pytest.raises(ValueError, match="ActionService/CreateTarget"):
            route_of(method, HttpRule(pattern=Oneof("get", template)))


def test_a_literal_wins_over_a_variable():
    """
    `search` is no id, whatever the order in the proto file.
    """
    search = ROUTES.find("POST", path_segments(f"{TARGETS}/search", None))
    update = ROUTES.find("POST", path_segments(f"{TARGETS}/1", None))
    assert search is not None
    assert update is not None
    procedures = [match.route.procedure.rpartition("/")[2] for match in (search, update)]
    assert procedures == ["ListTargets", "UpdateTarget"]
    assert ROUTES.find("GET", path_segments(f"{TARGETS}/search", None)) is None
