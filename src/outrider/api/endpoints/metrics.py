"""`/metrics`: the numbers of the whole server, for Prometheus.

They are of all instances together, and tell nothing about any one of them. The reader's permission
is checked before they are gathered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from connectrpc.code import Code

from outrider.api.asgi.origin import authority_of
from outrider.api.asgi.types import App, Receive, Scope, Send, header, send_response
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.protocol_errors import send_error, send_failure, send_not_allowed
from outrider.domain.access.permission import Role, permission_denied, require
from outrider.domain.ids import InstanceId
from outrider.errors import OutriderError
from outrider.observability.exposition import CONTENT_TYPE
from outrider.usecases.access.authenticate import Authenticate

PATH = "/metrics"
PERMISSION = "delivery.read"
_CHALLENGE = (b"www-authenticate", b"Bearer")
_HEADERS = ((b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store"))

Scrape = Callable[[], Awaitable[str]]
Authorize = Callable[[str, str | None], Awaitable[None]]
"""Returns for a host name and an Authorization header that may read; raises otherwise."""


@dataclass(frozen=True, slots=True)
class MetricsReaders:
    """The admin token, and accounts of the default instance that may read its deliveries."""

    authenticate: Authenticate
    default: InstanceId

    async def __call__(self, host: str, authorization: str | None) -> None:
        """See `Authorize`."""
        actor = await self.authenticate(host, authorization)
        require(actor, PERMISSION)
        if actor.instance_id != self.default and Role.SYSTEM_OWNER not in actor.roles:
            # The numbers of all tenants are none of one tenant's business.
            raise permission_denied(
                "the metrics are those of every instance",
                "use the admin token, or an account of the default instance",
            )


def metrics_page(scrape: Scrape, authorize: Authorize | None, errors: ErrorMapper) -> App:
    """The application at `PATH`. Without `authorize` every caller may read."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await send_error(scope, send, Code.NOT_FOUND, "Not Found")
        elif scope["method"] not in {"GET", "HEAD"}:
            await send_not_allowed(scope, send, ("GET", "HEAD"), PATH)
        elif authorize is None or await _is_authorized(scope, send, authorize, errors):
            await _send_page(scope, send, (await scrape()).encode())

    return app


async def _is_authorized(
    scope: Scope, send: Send, authorize: Authorize, errors: ErrorMapper
) -> bool:
    authorization = header(scope, b"authorization")
    try:
        await authorize(
            authority_of(scope), None if authorization is None else authorization.decode("latin-1")
        )
    except OutriderError as error:
        connect_error = errors.to_connect_error(error, PATH)
        headers = (_CHALLENGE,) if connect_error.code is Code.UNAUTHENTICATED else ()
        await send_failure(scope, send, connect_error, headers=headers)
        return False
    return True


async def _send_page(scope: Scope, send: Send, body: bytes) -> None:
    if scope["method"] == "GET":
        await send_response(send, 200, _HEADERS, body)
        return
    headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
