"""`POST /v1/relay/{source}`: events of another server's executions, verified by their signature."""

from __future__ import annotations

from collections.abc import Collection

from connectrpc.code import Code

from outrider.api.asgi.limits import REQUEST_BYTES, TOO_LARGE
from outrider.api.asgi.types import (
    App,
    BodyTooLargeError,
    Receive,
    Scope,
    Send,
    send_response,
)
from outrider.api.asgi.unauthenticated import UnauthenticatedBodies
from outrider.api.rpc.error_mapping import from_outrider
from outrider.api.rpc.protocol_errors import JSON, send_error, send_failure, send_not_allowed
from outrider.domain.hops import HOPS_HEADER, parse_hops
from outrider.errors import OutriderError, Unauthenticated
from outrider.usecases.delivery.relay import Relay, RelayedCall
from outrider.usecases.ports.log import Log

PREFIX = "/v1/relay/"
_SIGNATURE_HEADERS = frozenset({b"zitadel-signature", b"x-zitadel-signature"})
_HOPS_HEADERS = frozenset({HOPS_HEADER.lower().encode()})


def relay_endpoint(relay: Relay, log: Log, bodies: UnauthenticatedBodies) -> App:
    """The application below `PREFIX`. No page of a browser has a signing key: no CORS."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        source = scope["path"].removeprefix(PREFIX)
        if scope["method"] != "POST":
            await send_not_allowed(scope, send, ("POST",), f"{PREFIX}{{source}}")
            return
        signatures = signatures_of(scope)
        try:
            relay.check_headers(source, signatures)
            async with bodies.body(receive, REQUEST_BYTES, f"relay {source}") as body:
                call = await relay.verified(source, signatures, body)
            # Not before: a caller without a key learns nothing about its headers.
            hops = parse_hops(_values(scope, _HOPS_HEADERS))
            await _accept(relay, log, source, call, hops)
        except BodyTooLargeError:
            await send_error(scope, send, Code.INVALID_ARGUMENT, TOO_LARGE)
        except OutriderError as error:
            if not isinstance(error, Unauthenticated):  # the relay logs those with their reason
                log.info("relay.refused", source=source, reason=str(error))
            await send_failure(scope, send, from_outrider(error))
        else:
            await send_response(send, 200, [JSON], b"{}")

    return app


def signatures_of(scope: Scope) -> list[str]:
    """Every value of both signature headers."""
    return _values(scope, _SIGNATURE_HEADERS)


def _values(scope: Scope, names: Collection[bytes]) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name in names]


async def _accept(relay: Relay, log: Log, source: str, call: RelayedCall, hops: int) -> None:
    published = await relay.accept(call, hops)
    log.info(
        "relay.accepted",
        source=source,
        event_id=published.id,
        deliveries=published.deliveries,
        duplicate=published.is_duplicate,
    )
