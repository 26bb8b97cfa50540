"""`/metrics`: the numbers of the whole server, for Prometheus.

They are of all instances together, and say nothing of any one of them. Who may read them is asked
before they are gathered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from connectrpc.code import Code

from outrider.api.asgi.origin import authority_of
from outrider.api.asgi.types import App, Receive, Scope, Send, answer, header
from outrider.api.rpc.auth import BearerAuth
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.protocol_errors import send_error
from outrider.domain.access.permission import Actor, Role
from outrider.domain.ids import InstanceId
from outrider.errors import OutriderError, PermissionDenied
from outrider.observability.exposition import CONTENT_TYPE

PATH = "/metrics"
PERMISSION = "delivery.read"
_ALLOW = (b"allow", b"GET, HEAD")
_CHALLENGE = (b"www-authenticate", b"Bearer")
_HEADERS = ((b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store"))

Scrape = Callable[[], Awaitable[str]]
Admit = Callable[[str | None, str], Awaitable[None]]
"""Returns for an Authorization header, sent to a host name, that may read; raises otherwise."""


@dataclass(frozen=True, slots=True)
class Readers:
    """The admin token, and accounts of the default instance that may read its deliveries."""

    auth: BearerAuth
    default: InstanceId

    async def __call__(self, authorization: str | None, authority: str) -> None:
        """See `Admit`."""
        actor: Actor = await self.auth.authenticate(authorization, authority)
        self.auth.require(actor, PERMISSION)
        if actor.instance_id != self.default and Role.SYSTEM_OWNER not in actor.roles:
            # The numbers of all tenants are none of one tenant's business.
            raise PermissionDenied("No matching permissions found", "AUTH-5mWD2")


def metrics_page(scrape: Scrape, admit: Admit | None, faults: ErrorMapper) -> App:
    """The application at `PATH`. Without `admit` anybody may read."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await send_error(scope, send, Code.NOT_FOUND, "Not Found")
        elif scope["method"] not in {"GET", "HEAD"}:
            text = "Method Not Allowed"
            await send_error(scope, send, Code.UNIMPLEMENTED, text, status=405, headers=(_ALLOW,))
        elif admit is None or await _admitted(scope, send, admit, faults):
            await _say(scope, send, (await scrape()).encode())

    return app


async def _admitted(scope: Scope, send: Send, admit: Admit, faults: ErrorMapper) -> bool:
    given: Any = header(scope, b"authorization")
    try:
        await admit(None if given is None else given.decode("latin-1"), authority_of(scope))
    except OutriderError as error:
        shown = faults.shown(error, PATH)
        headers = (_CHALLENGE,) if shown.code is Code.UNAUTHENTICATED else ()
        await send_error(scope, send, shown.code, shown.message, headers=headers)
        return False
    return True


async def _say(scope: Scope, send: Send, body: bytes) -> None:
    if scope["method"] == "GET":
        await answer(send, 200, _HEADERS, body)
        return
    headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
