"""The public keys of an instance, for receivers that verify what it signed: a JWK set (RFC 7517).

No token is needed. Every request reads the store, so that a key is published when the
call that made it is answered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from connectrpc.code import Code

from outrider.api.asgi.cors import cors
from outrider.api.asgi.origin import authority_of
from outrider.api.asgi.types import App, Receive, Scope, Send
from outrider.api.rpc.protocol_errors import JSON, send_error, send_not_allowed
from outrider.usecases.access.authenticate import InstanceResolver
from outrider.usecases.access.web_keys import UseWebKeys

PATH = "/oauth/v2/keys"
# Receivers may keep the set for five minutes: a new key waits that long before it is activated.
CACHE_CONTROL = (b"cache-control", b"max-age=300, must-revalidate")


def jwks(web_keys: UseWebKeys, resolve_instance: InstanceResolver) -> App:
    """The application at `PATH`; pages of every origin may read it."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await send_error(scope, send, Code.NOT_FOUND, "Not Found")
        elif scope["method"] not in {"GET", "HEAD"}:
            await send_not_allowed(scope, send, ("GET", "HEAD"), PATH)
        else:
            instance = resolve_instance(authority_of(scope))
            await _send_set(scope, send, {"keys": await web_keys.published_jwks(instance)})

    return cors(app)


async def _send_set(scope: Scope, send: Send, key_set: Mapping[str, object]) -> None:
    body = json.dumps(key_set, separators=(",", ":")).encode()
    length = (b"content-length", str(len(body)).encode())
    headers = [JSON, CACHE_CONTROL, length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    is_head = scope["method"] == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_head else body})
