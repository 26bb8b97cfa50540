"""An OpenID Connect issuer on loopback: a real server whose documents are what a test puts there."""

from __future__ import annotations

import json
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from outrider.testing.receiver import Answer, ReceivedCall, Receiver

AUDIENCE = "outrider"
DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"
KINDS: Mapping[str, tuple[type[Any], Any]] = {
    "rsa": (RSAKey, 2048),
    "rsa too small": (RSAKey, 1024),
    "rsa of another": (RSAKey, 2048),
    "P-256": (ECKey, "P-256"),
    "P-384": (ECKey, "P-384"),
    "P-521": (ECKey, "P-521"),
    "Ed25519": (OKPKey, "Ed25519"),
    "new": (ECKey, "P-256"),
    "unpublished": (ECKey, "P-256"),
}


@cache
def private_key(name: str) -> Any:
    """Made once: RSA keys take a while."""
    kind, parameter = KINDS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # one is too small, on purpose
        return kind.generate_key(parameter)


def published(name: str, **members: Any) -> dict[str, Any]:
    """A member of a JWK set."""
    public = private_key(name).as_dict(private=False)
    kept = {name: public[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in public}
    return {"kid": name, "use": "sig", **kept, **members}


def signed(claims: object, name: str, header: Mapping[str, Any]) -> str:
    """A compact JWS with this key, whatever its header claims: None takes a member out."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    kept = {name: value for name, value in header.items() if value is not None}
    parts = json.dumps(kept).encode(), payload
    signing_input = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    # Not with the library's own function: it refuses to write unsafe tokens.
    signature = JWSRegistry.algorithms[kept["alg"]].sign(signing_input, private_key(name))
    return (signing_input + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


class OidcIssuer:
    """From `async with` to its end. `answers` replaces what a path is answered with."""

    def __init__(self, *names: str) -> None:
        self.keys: Any = [published(name) for name in names]
        self.answers: dict[str, Answer] = {}
        self.discovery: dict[str, Any] = {}
        self._receiver = Receiver(self._answer)

    async def __aenter__(self) -> Self:
        await self._receiver.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._receiver.__aexit__(*failure)

    @property
    def url(self) -> str:
        """Its name."""
        return f"http://127.0.0.1:{self._receiver.port}"

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [call.path for call in self._receiver.calls]

    async def wait_for(self, calls: int) -> None:
        """Wait until a number of requests have arrived."""
        await self._receiver.wait_for(calls)

    def entry(self, **changes: Any) -> dict[str, Any]:
        """What the operator writes about it."""
        return {
            "issuer": self.url,
            "audience": [AUDIENCE],
            "roles_claim": "roles",
            "roles": {
                "admin": ["IAM_OWNER"],
                "reader": ["IAM_OWNER_VIEWER"],
                "shop": ["EVENT_PUBLISHER"],
            },
            **changes,
        }

    def claims(self, now: float, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; None takes one out."""
        claims = {
            "iss": self.url,
            "sub": "ada",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
            "roles": ["admin"],
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def _answer(self, call: ReceivedCall) -> Answer:
        if call.path in self.answers:
            return self.answers[call.path]
        documents = {
            DISCOVERY: {"issuer": self.url, "jwks_uri": self.url + KEYS, **self.discovery},
            KEYS: {"keys": self.keys},
        }
        if call.method != "GET" or call.path not in documents:
            return Answer(status=404)
        return Answer(body=json.dumps(documents[call.path]).encode())
