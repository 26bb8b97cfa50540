"""The token endpoint and its discovery document, as ZITADEL's clients use them.

RFC 6749 (client credentials, errors), RFC 7523 (assertions), RFC 8414 (discovery). `issuers` finds
the instance of a request, and its URL.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qsl

from connectrpc.code import Code

from outrider.api.asgi.cors import cors
from outrider.api.asgi.limits import PUBLIC_BYTES
from outrider.api.asgi.types import (
    App,
    BodyTooLargeError,
    Header,
    Receive,
    Scope,
    Send,
    header,
    send_response,
)
from outrider.api.asgi.unauthenticated import UnauthenticatedBodies
from outrider.api.endpoints.issuers import Issuers, UnusableHostError
from outrider.api.endpoints.jwks import PATH as JWKS_PATH
from outrider.api.endpoints.oauth_client import client_of
from outrider.api.rpc.protocol_errors import JSON, media_type, send_error, send_not_allowed
from outrider.domain.access.access_token import LIFETIME
from outrider.domain.ids import InstanceId
from outrider.errors import InvalidRequest, ResourceExhausted
from outrider.usecases.access.grants import GrantError, Grants, TokenGrant
from outrider.usecases.ports.log import Log

DISCOVERY_PATH = "/.well-known/openid-configuration"
TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 - a path
CLIENT_CREDENTIALS = "client_credentials"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"

FORM_BYTES = PUBLIC_BYTES
_FORM_FIELDS = 50
_FORM = "application/x-www-form-urlencoded"
_BAD_REQUEST, _UNAUTHORIZED = 400, 401
# RFC 6749, section 5.1.
NO_STORE: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))

SigningAlgorithms = Callable[[InstanceId], Awaitable[Sequence[str]]]
Form = Mapping[str, str]
Grant = Callable[[Scope, Form, str], Awaitable[TokenGrant]]


def discovery(issuers: Issuers, algorithms: SigningAlgorithms) -> App:
    """The application at `DISCOVERY_PATH`; `algorithms` are asked for at every request."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] != DISCOVERY_PATH:
            await send_error(scope, send, Code.NOT_FOUND, "Not Found")
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await send_not_allowed(scope, send, ("GET", "HEAD"), DISCOVERY_PATH)
            return
        try:
            issuer = issuers.issuer(scope)
        except UnusableHostError:
            await send_error(
                scope, send, Code.INVALID_ARGUMENT, "header Host is missing or malformed"
            )
            return
        document = discovery_document(issuer, await algorithms(issuers.instance(scope)))
        body = json.dumps(document).encode()
        length = (b"content-length", str(len(body)).encode())
        await send(
            {"type": "http.response.start", "status": 200, "headers": [JSON, *NO_STORE, length]}
        )
        is_head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else body})

    return cors(app)


def discovery_document(issuer: str, algorithms: Sequence[str]) -> dict[str, object]:
    """Return the discovery document: only what the token endpoint supports.

    `algorithms` are those of the keys at `jwks_uri`. Verifiers take from
    `id_token_signing_alg_values_supported` what they accept, and refuse all but RS256 without it.
    """
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}{TOKEN_PATH}",
        "jwks_uri": f"{issuer}{JWKS_PATH}",
        "grant_types_supported": [CLIENT_CREDENTIALS, ASSERTION],
        # Required by OpenID Connect Discovery 1.0, section 3, though there is no login here.
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(algorithms),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }


class TokenEndpoint:
    """The application at `TOKEN_PATH`."""

    def __init__(
        self, grants: Grants, issuers: Issuers, log: Log, bodies: UnauthenticatedBodies
    ) -> None:
        self._bodies = bodies
        self._grants = grants
        self._log = log
        self._issuers = issuers
        self._grant_types: Mapping[str, Grant] = {
            CLIENT_CREDENTIALS: self._client_credentials,
            ASSERTION: self._assertion,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a token, or an error of RFC 6749, section 5.2."""
        if scope["path"] != TOKEN_PATH:
            await send_error(scope, send, Code.NOT_FOUND, "Not Found")
            return
        if scope["method"] != "POST":
            await send_not_allowed(scope, send, ("POST",), TOKEN_PATH)
            return
        try:
            token_grant = await self._grant(scope, receive)
        except ResourceExhausted as error:
            await send_error(scope, send, Code.RESOURCE_EXHAUSTED, error.message)
        except GrantError as error:
            self._log.info("token.refused", error=error.error, reason=error.description)
            await _send_grant_error(send, error)
        else:
            self._log.info("token.issued", account=token_grant.account_id)
            await _send_token(send, token_grant.access_token)

    async def _grant(self, scope: Scope, receive: Receive) -> TokenGrant:
        form = await read_form(scope, receive, self._bodies)
        name = required_field(form, "grant_type")
        grant = self._grant_types.get(name)
        if grant is None:
            raise GrantError("unsupported_grant_type", f"one of {', '.join(self._grant_types)}")
        try:
            issuer = self._issuers.issuer(scope)
        except UnusableHostError:
            raise GrantError("invalid_request", "header Host is missing or malformed") from None
        return await grant(scope, form, issuer)

    async def _client_credentials(self, scope: Scope, form: Form, issuer: str) -> TokenGrant:
        client_id, client_secret = client_of(header(scope, b"authorization"), form)
        return await self._grants_for(scope).client_credentials(client_id, client_secret, issuer)

    async def _assertion(self, scope: Scope, form: Form, issuer: str) -> TokenGrant:
        return await self._grants_for(scope).assertion(required_field(form, "assertion"), issuer)

    def _grants_for(self, scope: Scope) -> Grants:
        return self._grants.of(self._issuers.instance(scope))


def token_endpoint(
    grants: Grants, issuers: Issuers, log: Log, bodies: UnauthenticatedBodies
) -> App:
    """The same with CORS: secrets are no cookies, so an origin gains nothing."""
    return cors(TokenEndpoint(grants, issuers, log, bodies))


async def read_form(scope: Scope, receive: Receive, bodies: UnauthenticatedBodies) -> Form:
    """The body's fields, each once. Raise `GrantError`."""
    if media_type(scope) != _FORM:
        raise GrantError("invalid_request", f"the body must be {_FORM}")
    try:
        async with bodies.body(receive, FORM_BYTES, "token endpoint") as body:
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_FORM_FIELDS,
            )
    except BodyTooLargeError:
        raise GrantError("invalid_request", f"the body is larger than {FORM_BYTES} bytes") from None
    except InvalidRequest as problem:
        raise GrantError("invalid_request", problem.message) from None
    except ValueError:
        raise GrantError("invalid_request", "the body is no form in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise GrantError("invalid_request", "a field is there twice")
    return fields


def required_field(form: Form, name: str) -> str:
    """A field that must be there and not empty. Raise `GrantError`."""
    if not form.get(name):
        raise GrantError("invalid_request", f"{name} is missing")
    return form[name]


async def _send_token(send: Send, token: str) -> None:
    body = {
        "access_token": token,
        "token_type": "Bearer",
        # As in ZITADEL: the second in which the answer travels is not promised.
        "expires_in": int(LIFETIME.total_seconds()) - 1,
    }
    await send_response(send, 200, [JSON, *NO_STORE], json.dumps(body).encode())


async def _send_grant_error(send: Send, error: GrantError) -> None:
    body = {"error": error.error, "error_description": error.description}
    is_stranger = error.error == "invalid_client"
    challenge = [(b"www-authenticate", b'Basic realm="outrider"')] if is_stranger else []
    status = _UNAUTHORIZED if is_stranger else _BAD_REQUEST
    await send_response(send, status, [JSON, *NO_STORE, *challenge], json.dumps(body).encode())
