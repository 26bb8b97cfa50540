"""The token endpoint: both grants, and every way in which they are refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from api.asgi_client import in_process
from api.endpoints.oauth.issuer import (
    CLIENT_CREDENTIALS,
    DISCOVERY_PATH,
    FORM,
    JWT_BEARER,
    TOKEN_PATH,
    URL,
    Issuer,
    basic,
    claims_of,
    encoded,
    header_of,
    new_account,
    signed,
)
from api.wires import HttpRequest
from outrider.api.endpoints.issuers import Issuers
from outrider.api.endpoints.oauth import discovery
from support.builders import INSTANCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

Ask = Callable[[Issuer], tuple[Mapping[str, str] | bytes, Mapping[str, str]]]
ANOTHER_KEY = rsa.generate_private_key(65537, 2048).private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
)
PEM = ANOTHER_KEY.decode()


def creds(headers: Mapping[str, str] | None = None, **fields: str) -> Ask:
    """Client credentials as they are given here."""
    return lambda _: ({"grant_type": CLIENT_CREDENTIALS, **fields}, headers or {})


def asserting(make: Callable[[Issuer], str]) -> Ask:
    """An assertion made by the function."""
    return lambda issuer: ({"grant_type": JWT_BEARER, "assertion": make(issuer)}, {})


def saying(**changes: Any) -> Ask:
    """An assertion with other claims; a function gets the time."""

    def make(issuer: Issuer) -> str:
        claims = {
            name: change(issuer.now) if callable(change) else change
            for name, change in changes.items()
        }
        return issuer.assertion(**claims)

    return asserting(make)


def with_header(**changes: Any) -> Ask:
    """An assertion with another header, whose signature is right."""
    return asserting(lambda issuer: issuer.assertion(changes))


def raw(body: bytes, **headers: str) -> Ask:
    """A body as it is."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (body, named)


def hs256(issuer: Issuer) -> str:
    """Signed with the public key as if it were a shared secret."""
    public_pem = RSAKey.import_key(issuer.account.pem).as_pem(private=False)
    header = {"alg": "HS256", "kid": issuer.account.key_id}
    with_secret = OctKey.import_key(base64.urlsafe_b64encode(public_pem).decode())
    text = encoded(issuer.claims()).encode()
    return jws.serialize_compact(header, text, with_secret, ["HS256"])


def unsigned(issuer: Issuer) -> str:
    header = {"alg": "none", "kid": issuer.account.key_id}
    return f"{encoded(header)}.{encoded(issuer.claims())}."


def tampered(issuer: Issuer) -> str:
    head, _, signature = issuer.assertion().split(".")
    return f"{head}.{encoded(issuer.claims(exp=issuer.now + 60))}.{signature}"


def another_s(issuer: Issuer) -> str:
    header = {"alg": "RS256", "kid": issuer.account.key_id}
    return signed(issuer.claims(), PEM, header)


NO_FIELD = "{} is missing"
ONE_OF = f"one of {CLIENT_CREDENTIALS}, {JWT_BEARER}"
WRONG = "client id or client secret is wrong"
MISSING = "client id and client secret are missing"
NO_BASIC = "the Authorization header is no HTTP Basic"
TWICE = "HTTP Basic and the form both name a client"
NO_KEY = "no valid key of an account verifies the assertion"
NO_JWT = "the assertion is not a JWT"
USER = "iss and sub must be the user id that the key belongs to"
AUDIENCE = "aud must contain the issuer"
HOUR = "exp must be at most one hour after iat"
OVER = "the assertion has expired"
EARLY = "the assertion is not valid yet"
NO_FORM = "the body is no form in UTF-8"
OTHER_TYPE = f"the body must be {FORM}"
REQUEST, CLIENT, GRANT = "invalid_request", "invalid_client", "invalid_grant"
GRANT_TYPE = f"grant_type={CLIENT_CREDENTIALS}".encode()

REFUSALS: dict[str, tuple[Ask, str, str]] = {
    "an empty body": (raw(b""), REQUEST, NO_FIELD.format("grant_type")),
    "an empty grant": (raw(b"grant_type="), REQUEST, NO_FIELD.format("grant_type")),
    "another grant": (raw(b"grant_type=password"), "unsupported_grant_type", ONE_OF),
    "no form": (raw(b"{}", content_type="application/json"), REQUEST, OTHER_TYPE),
    "no content type": (raw(GRANT_TYPE, content_type=""), REQUEST, OTHER_TYPE),
    "bytes": (raw(b"grant_type=\xff"), REQUEST, NO_FORM),
    "escaped bytes": (raw(b"grant_type=%ff"), REQUEST, NO_FORM),
    "51 fields": (raw(b"&".join(b"f%d=1" % n for n in range(51))), REQUEST, NO_FORM),
    "a field twice": (raw(GRANT_TYPE + b"&a=1&a=1"), REQUEST, "a field is there twice"),
    "a large body": (raw(b"a" * 16385), REQUEST, "the body is larger than 16384 bytes"),
    "nobody": (creds(), CLIENT, MISSING),
    "an id alone": (creds(client_id="1"), CLIENT, MISSING),
    "a secret alone": (creds(client_secret="1"), CLIENT, MISSING),
    "an unknown client": (creds(client_id="7", client_secret="x"), CLIENT, WRONG),
    "an unknown client in Basic": (creds(basic("7", "x")), CLIENT, WRONG),
    "zeros": (creds(client_id="\0", client_secret="\0"), CLIENT, WRONG),
    "a wrong secret": (
        lambda issuer: ({"grant_type": CLIENT_CREDENTIALS}, basic(issuer.account.id, "x")),
        CLIENT,
        WRONG,
    ),
    "a bearer token": (creds({"authorization": "Bearer x"}), CLIENT, NO_BASIC),
    "no Base64": (creds({"authorization": "Basic ?"}), CLIENT, NO_BASIC),
    "no colon": (creds({"authorization": "Basic eA=="}), CLIENT, NO_BASIC),
    "no UTF-8": (creds({"authorization": "Basic /zr/"}), CLIENT, NO_BASIC),
    "no escaped UTF-8": (creds(basic("%ff", "x")), CLIENT, NO_BASIC),
    "a secret twice": (creds(basic("1", "x"), client_secret="x"), REQUEST, TWICE),
    "two clients": (creds(basic("1", "x"), client_id="2"), REQUEST, TWICE),
    "no assertion": (raw(f"grant_type={JWT_BEARER}".encode()), REQUEST, "assertion is missing"),
    "no JWT": (asserting(lambda _: "x"), GRANT, NO_JWT),
    "two parts": (asserting(lambda issuer: issuer.assertion()[:40]), GRANT, NO_JWT),
    "no ASCII": (asserting(lambda _: "é.é.é"), GRANT, NO_JWT),
    "a header that is a list": (asserting(lambda _: f"{encoded([])}.e30.e30"), GRANT, NO_JWT),
    "a deep header": (asserting(lambda _: f"{'W1tb' * 3000}.e30.e30"), GRANT, NO_JWT),
    "an unknown key": (with_header(kid="7"), GRANT, NO_KEY),
    "a key id that is no text": (with_header(kid="\ud800"), GRANT, NO_KEY),
    "unsigned": (asserting(unsigned), GRANT, NO_KEY),
    "HS256 with the public key": (asserting(hs256), GRANT, NO_KEY),
    "tampered": (asserting(tampered), GRANT, NO_KEY),
    "another's signature": (asserting(another_s), GRANT, NO_KEY),
    "no object": (
        asserting(
            lambda issuer: signed(
                [], issuer.account.pem, {"alg": "RS256", "kid": issuer.account.key_id}
            )
        ),
        GRANT,
        NO_KEY,
    ),
    "another issuer": (saying(iss="1"), GRANT, USER),
    "another subject": (saying(sub="1"), GRANT, USER),
    "another account": (saying(iss="1", sub="1"), GRANT, USER),
    "no subject": (saying(sub=None), GRANT, USER),
    "another audience": (saying(aud="http://evil.test"), GRANT, AUDIENCE),
    "no audience": (saying(aud=None), GRANT, AUDIENCE),
    "an audience that is a part": (saying(aud=f"{URL}.evil"), GRANT, AUDIENCE),
    "an audience that is an object": (saying(aud={URL: URL}), GRANT, AUDIENCE),
    "no exp": (saying(exp=None), GRANT, "exp must be a date"),
    "no iat": (saying(iat=None), GRANT, "iat must be a date"),
    "exp is a text": (saying(exp="3000000000"), GRANT, "exp must be a date"),
    "exp is true": (saying(exp=True), GRANT, "exp must be a date"),
    "exp is infinite": (saying(exp=float("inf")), GRANT, "exp must be a date"),
    "exp is no number": (saying(exp=float("nan")), GRANT, "exp must be a date"),
    "exp is huge": (saying(exp=10**400), GRANT, "exp must be a date"),
    "an hour and a second": (saying(exp=lambda now: now + 3601), GRANT, HOUR),
    "expired": (
        saying(iat=lambda now: now - 3600, exp=lambda now: now - 31),
        GRANT,
        OVER,
    ),
    "from the future": (
        saying(iat=lambda now: now + 60, exp=lambda now: now + 120),
        GRANT,
        EARLY,
    ),
    "not before": (saying(nbf=lambda now: now + 60), GRANT, EARLY),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal(issuer: Issuer, name: str):
    """
    In the form of RFC 6749, section 5.2: clients show it to the operator who set them up.
    """
    ask, error, description = REFUSALS[name]
    fields, headers = ask(issuer)
    answer = await issuer.post(fields, headers)

    assert {"error": error, "error_description": description} == answer.json()
    assert (401 if error == CLIENT else 400) == answer.status
    assert "no-store" == answer.headers["cache-control"]
    assert (error == CLIENT) == ("www-authenticate" in answer.headers)


ACCEPTED: dict[str, Ask] = {
    "Basic": lambda issuer: (
        {"grant_type": CLIENT_CREDENTIALS, "scope": "openid"},
        basic(issuer.account.id, issuer.account.secret),
    ),
    "Basic, and the same client in the form": lambda issuer: (
        {"grant_type": CLIENT_CREDENTIALS, "client_id": issuer.account.id},
        basic(issuer.account.id, issuer.account.secret),
    ),
    "the form": lambda issuer: (
        {
            "grant_type": CLIENT_CREDENTIALS,
            "client_id": issuer.account.id,
            "client_secret": issuer.account.secret,
        },
        {"content-type": f"{FORM}; charset=utf-8"},
    ),
    "an assertion": saying(),
    "an audience with a slash": saying(aud=f"{URL}/"),
    "several audiences": saying(aud=["x", 7, URL]),
    "a clock that is a little ahead": saying(iat=lambda now: now + 25, exp=lambda now: now + 3625),
    "a clock that is a little behind": saying(iat=lambda now: now - 100, exp=lambda now: now - 25),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_a_token_is_issued(issuer: Issuer, name: str):
    """
    And it is one.
    """
    answer = await issuer.post(*ACCEPTED[name](issuer))
    body = answer.json()

    assert 200 == answer.status
    assert ("Bearer", 43199) == (body["token_type"], body["expires_in"])
    assert ("no-store", "no-cache") == (answer.headers["cache-control"], answer.headers["pragma"])
    assert ("ok", "") == await issuer.accepts(body["access_token"])


async def test_what_a_token_says(issuer: Issuer):
    """
    Enough to be checked, and no role: those are the account's when it is shown.
    """
    token = await issuer.token()
    claims = claims_of(token)

    assert {"iss", "sub", "aud", "iat", "exp", "jti"} == set(claims)
    assert (URL, issuer.account.id, [issuer.service.instance]) == (
        claims["iss"],
        claims["sub"],
        claims["aud"],
    )
    assert 43200 == claims["exp"] - claims["iat"]
    assert ("RS256", "at+jwt") == (header_of(token)["alg"], header_of(token)["typ"])


PARTS = st.binary(max_size=40) | st.sampled_from(
    [
        f"grant_type={CLIENT_CREDENTIALS}".encode(),
        b"client_id=%00",
        b"client_secret=%ff",
        f"grant_type={JWT_BEARER}".encode(),
        b"assertion=e30.e30.e30",
        b"assertion=..",
        b"=",
        b"a",
    ]
)
HEADERS = st.none() | st.binary(max_size=30).map(
    lambda given: "Basic " + base64.b64encode(given).decode()
)


@given(st.lists(PARTS, max_size=5).map(b"&".join), HEADERS)
async def test_whatever_is_sent_is_answered_in_the_form_of_oauth(issuer: Issuer, body, basic_auth):
    """
    Strangers reach this endpoint: none of them ends in a traceback, or in a token.
    """
    headers = {} if basic_auth is None else {"authorization": basic_auth}
    answer = await issuer.post(body, headers)

    assert answer.status in {400, 401}
    assert {"error", "error_description"} == set(answer.json())


async def test_an_expired_key_gets_no_token(issuer: Issuer):
    """
    To the exact moment.
    """
    made = await issuer.service.ask("CreateAccount", {"name": "brief", "roles": ["IAM_OWNER"]})
    until = issuer.service.clock.now + timedelta(minutes=1)
    account = await new_account(issuer.service, "brief owner")
    request = {"accountId": made["id"], "expirationDate": until.isoformat()}
    created = await issuer.service.ask("CreateAccountKey", request)
    pem = json.loads(base64.b64decode(created["keyFile"]))["key"]
    header = {"alg": "RS256", "kid": created["keyId"]}
    assertion = signed(issuer.claims(iss=made["id"], sub=made["id"]), pem, header)

    assert account.id != made["id"]
    assert 200 == (await issuer.ask_with(assertion)).status
    issuer.service.clock.now = until
    assert NO_KEY == (await issuer.ask_with(assertion)).json()["error_description"]


async def test_a_deleted_key_gets_no_token(issuer: Issuer):
    """
    So an operator replaces a leaked key; the account's other keys continue to work.
    """
    account = await new_account(issuer.service, "two keys")
    created = await issuer.service.ask("CreateAccountKey", {"accountId": account.id})
    other = json.loads(base64.b64decode(created["keyFile"]))
    claims = issuer.claims(iss=account.id, sub=account.id)
    former = signed(claims, account.pem, {"alg": "RS256", "kid": account.key_id})
    before = await issuer.ask_with(former)
    ids = {"accountId": account.id, "keyId": account.key_id}
    await issuer.service.ask("DeleteAccountKey", ids)
    after = await issuer.ask_with(former)
    still = signed(claims, other["key"], {"alg": "RS256", "kid": other["keyId"]})

    assert (200, NO_KEY) == (before.status, after.json()["error_description"])
    assert 200 == (await issuer.ask_with(still)).status


async def test_a_new_secret_replaces_the_former(issuer: Issuer):
    """
    So an operator replaces a leaked secret.
    """
    account = await new_account(issuer.service, "leaky")
    again = await issuer.service.ask("CreateAccountSecret", {"accountId": account.id})
    grant = {"grant_type": CLIENT_CREDENTIALS}
    former = await issuer.post(grant, basic(account.id, account.secret))
    new = await issuer.post(grant, basic(account.id, again["clientSecret"]))

    assert (401, 200) == (former.status, new.status)


async def test_a_deleted_account_has_nothing_left(issuer: Issuer):
    """
    Neither its token, nor its key, nor its secret.
    """
    account = await new_account(issuer.service, "leaver")
    grant = {"grant_type": CLIENT_CREDENTIALS}
    token = (await issuer.post(grant, basic(account.id, account.secret))).json()["access_token"]
    claims = issuer.claims(iss=account.id, sub=account.id)
    assertion = signed(claims, account.pem, {"alg": "RS256", "kid": account.key_id})
    before = await issuer.accepts(token)
    await issuer.service.ask("DeleteAccount", {"id": account.id})

    assert ("ok", "") == before
    assert ("unauthenticated", "AUTH-7fs1e") == await issuer.accepts(token)
    assert 401 == (await issuer.post(grant, basic(account.id, account.secret))).status
    assert 400 == (await issuer.ask_with(assertion)).status


async def test_discovery_names_what_is_there(issuer: Issuer):
    """
    Clients compare the issuer with the URL that they were given.
    """
    answer = await issuer.fetch("GET", DISCOVERY_PATH)

    assert 200 == answer.status
    assert {
        "issuer": URL,
        "token_endpoint": f"{URL}{TOKEN_PATH}",
        "jwks_uri": f"{URL}/oauth/v2/keys",
        "grant_types_supported": [CLIENT_CREDENTIALS, JWT_BEARER],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    } == answer.json()
    head = await issuer.fetch("HEAD", DISCOVERY_PATH)
    assert (200, b"", answer.headers) == (head.status, head.body, head.headers)


def issuers(external_url: str = "") -> Issuers:
    """The default instance's alone."""
    return Issuers(lambda _: INSTANCE, INSTANCE, external_url)


async def no_keys(_instance):
    """What an instance without web keys signs with."""
    return []


HOSTS = ["localhost:8080", "[::1]:8080", "a.example", "a/b", "", "user@host", "host:x", "h\n"]


@pytest.mark.parametrize("host", HOSTS)
async def test_the_issuer_is_the_name_that_was_used(host):
    """
    A server has several names before an operator sets the one that counts; not every text is a name.
    """

    async def app(scope, receive, send):
        headers = [(b"host", host.encode()), *scope["headers"][1:]]
        await discovery(issuers(), no_keys)({**scope, "headers": headers}, receive, send)

    answer = await in_process(app)(HttpRequest("GET", DISCOVERY_PATH))
    is_name = host in HOSTS[:3]

    assert (200 if is_name else 400) == answer.status
    assert (f"http://{host}" if is_name else None) == answer.json().get("issuer")


async def test_a_proxy_says_that_its_side_is_encrypted(issuer: Issuer):
    """
    Clients compare what they typed, `https`, with what we say.
    """
    answers = [
        await issuer.fetch("GET", DISCOVERY_PATH, {"x-forwarded-proto": proto})
        for proto in ("https", "gopher")
    ]

    assert ["https://outrider.test", URL] == [answer.json()["issuer"] for answer in answers]


async def test_the_setting_is_the_issuer_whatever_name_was_used():
    """
    Behind a proxy the name that we see is not the one that clients know.
    """
    app = discovery(issuers("https://outrider.example/base"), no_keys)
    document = (await in_process(app)(HttpRequest("GET", DISCOVERY_PATH))).json()

    assert "https://outrider.example/base" == document["issuer"]
    assert f"{document['issuer']}{TOKEN_PATH}" == document["token_endpoint"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", TOKEN_PATH, 405),
        ("PUT", TOKEN_PATH, 405),
        ("POST", DISCOVERY_PATH, 405),
        ("POST", f"{TOKEN_PATH}/", 404),
        ("GET", f"{DISCOVERY_PATH}/x", 404),
    ],
)
async def test_other_ways_lead_nowhere(issuer: Issuer, method, path, status):
    """
    And say so.
    """
    assert status == (await issuer.fetch(method, path)).status


@pytest.mark.parametrize(("method", "path"), [("POST", TOKEN_PATH), ("GET", DISCOVERY_PATH)])
async def test_pages_of_every_origin_may_ask(issuer: Issuer, method, path):
    """
    As with the rest of the API.
    """
    origin = {"origin": "https://page.example"}
    answer = await issuer.fetch(method, path, origin)
    preflight = await issuer.fetch(
        "OPTIONS", path, {**origin, "access-control-request-method": method}
    )

    assert ["https://page.example"] * 2 == [
        response.headers["access-control-allow-origin"] for response in (answer, preflight)
    ]
    assert 204 == preflight.status
