"""The token endpoint, and an account that asks it as a client would."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.jwk import RSAKey

from api.calls.service import Service, bearer
from api.calls.table import Caller
from api.wires import HttpRequest, HttpResponse
from outrider.usecases.access.web_keys import ManageWebKeys, UseWebKeys

TOKEN_PATH = "/oauth/v2/token"
DISCOVERY_PATH = "/.well-known/openid-configuration"
URL = "http://outrider.test"
CLIENT_CREDENTIALS = "client_credentials"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Account:
    """All that a service account has."""

    id: str
    secret: str
    key_id: str
    pem: str


@dataclass(frozen=True)
class Issuer:
    """The service, and what is asked of it."""

    service: Service
    web_keys: ManageWebKeys
    account: Account

    @property
    def now(self) -> int:
        """The service's time in seconds."""
        return int(self.service.clock.now.timestamp())

    async def fetch(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> HttpResponse:
        return await self.service.client.exchange(HttpRequest(method, path, headers or {}, body))

    async def post(
        self, fields: Mapping[str, str] | bytes, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Ask for a token."""
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        return await self.fetch("POST", TOKEN_PATH, {"content-type": FORM, **(headers or {})}, body)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of an assertion; None takes one out."""
        claims = {
            "iss": self.account.id,
            "sub": self.account.id,
            "aud": URL,
            "iat": self.now,
            "exp": self.now + 3600,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def assertion(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Signed with the account's key."""
        whole = {"alg": "RS256", "kid": self.account.key_id, "typ": "JWT", **(header or {})}
        return signed(self.claims(**changes), self.account.pem, whole)

    async def ask_with(self, assertion: str, headers: Mapping[str, str] | None = None):
        """Ask with an assertion."""
        return await self.post({"grant_type": JWT_BEARER, "assertion": assertion}, headers)

    async def token(self) -> str:
        """An access token."""
        answer = await self.ask_with(self.assertion())
        assert 200 == answer.status, answer.body
        return answer.json()["access_token"]

    async def accepts(self, token: str) -> tuple[str, str]:
        """How a call with this token ends: its code, and the id in its detail."""
        callers = {**self.service.headers, Caller.ADMIN: bearer(token)}
        result = await replace(self.service, headers=callers).answer("ListTargets", {})
        return result.code, result.detail_id or ""

    async def forged(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A token that the active web key signed, with other claims or another header."""
        signing = await UseWebKeys(self.service.store).signing_key(self.service.instance)
        whole = {"alg": "RS256", "kid": signing.id, "typ": "at+jwt", **(header or {})}
        claims = {**claims_of(await self.token()), **changes}
        kept = {name: value for name, value in claims.items() if value is not None}
        return signed(kept, signing.private_key, whole)


def signed(claims: object, private_key: str | bytes, header: Mapping[str, Any]) -> str:
    """A compact JWS with RS256."""
    return jws.serialize_compact(
        dict(header), json.dumps(claims).encode(), RSAKey.import_key(private_key), ["RS256"]
    )


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a JWT."""
    return json.loads(decoded(token.split(".")[1]))


def header_of(token: str) -> dict[str, Any]:
    """The header of a JWT."""
    return json.loads(decoded(token.partition(".")[0]))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(value: object) -> str:
    """A part of a JWT."""
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    text = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
    return {"authorization": f"Basic {text}"}


async def new_account(service: Service, name: str, *roles: str) -> Account:
    """An account with a key and a secret."""
    made = await service.ask("CreateAccount", {"name": name, "roles": roles or ["IAM_OWNER"]})
    found = {"accountId": made["id"]}
    secret = await service.ask("CreateAccountSecret", found)
    created = await service.ask("CreateAccountKey", found)
    file = json.loads(base64.b64decode(created["keyFile"]))
    assert ("serviceaccount", created["keyId"], made["id"]) == (
        file["type"],
        file["keyId"],
        file["userId"],
    )
    return Account(made["id"], secret["clientSecret"], file["keyId"], file["key"])
