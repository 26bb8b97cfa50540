"""The public keys of an instance, for whoever verifies what it signed: a JWK set (RFC 7517).

Nobody has to say who they are. Every request reads the store, so that a key is published when the
call that made it is answered.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectrpc.code import Code

from outrider.api.asgi.cors import cors
from outrider.api.asgi.origin import authority_of
from outrider.api.asgi.types import App, Receive, Scope, Send
from outrider.api.rpc.protocol_errors import JSON, send_error

PATH = "/oauth/v2/keys"
# Receivers may keep the set for five minutes: a new key waits that long before it is activated.
CACHE_CONTROL = (b"cache-control", b"max-age=300, must-revalidate")
ALLOW = (b"allow", b"GET, HEAD")

Published = Callable[[str], Awaitable[Sequence[Mapping[str, str]]]]
"""The members of the set of whose host name this is."""


def jwks(published: Published) -> App:
    """The application at `PATH`; pages of every origin may read it."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await send_error(scope, send, Code.NOT_FOUND, "Not Found")
        elif scope["method"] not in {"GET", "HEAD"}:
            text = "Method Not Allowed"
            await send_error(scope, send, Code.UNIMPLEMENTED, text, status=405, headers=(ALLOW,))
        else:
            await _say(scope, send, {"keys": await published(authority_of(scope))})

    return cors(app)


async def _say(scope: Scope, send: Send, key_set: Mapping[str, object]) -> None:
    body = json.dumps(key_set, separators=(",", ":")).encode()
    length = (b"content-length", str(len(body)).encode())
    headers = [JSON, CACHE_CONTROL, length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    is_head = scope["method"] == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_head else body})
