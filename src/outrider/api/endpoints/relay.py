"""`POST /v1/relay/{source}`: events of another server's executions, known by their signature."""

from __future__ import annotations

from connectrpc.code import Code

from outrider.api.asgi.json_depth import refuse_deep
from outrider.api.asgi.limits import TOO_LARGE
from outrider.api.asgi.types import App, BodyTooLargeError, Receive, Scope, Send, answer, read_body
from outrider.api.rpc.protocol_errors import JSON, send_error
from outrider.errors import InvalidRequest, OutriderError, Unauthenticated
from outrider.usecases.delivery.relay import Relay
from outrider.usecases.ports.log import Log

PREFIX = "/v1/relay/"
_SIGNATURES = frozenset({b"zitadel-signature", b"x-zitadel-signature"})
_ALLOW = ((b"allow", b"POST"),)


def relay_endpoint(relay: Relay, log: Log) -> App:
    """The application below `PREFIX`. No page of a browser has a signing key: no CORS."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].removeprefix(PREFIX)
        if scope["method"] != "POST":
            text = "Method Not Allowed"
            await send_error(scope, send, Code.UNIMPLEMENTED, text, status=405, headers=_ALLOW)
            return
        try:
            await _take(relay, log, name, scope, receive)
        except BodyTooLargeError:
            await send_error(scope, send, Code.INVALID_ARGUMENT, TOO_LARGE)
        except OutriderError as error:
            if not isinstance(error, Unauthenticated):  # of which the relay knows more
                log.info("relay.refused", source=name, reason=str(error))
            await send_error(scope, send, Code(error.code.value), str(error))
        else:
            await answer(send, 200, [JSON], b"{}")

    return app


async def _take(relay: Relay, log: Log, name: str, scope: Scope, receive: Receive) -> None:
    signatures = [
        value.decode("latin-1") for header, value in scope["headers"] if header in _SIGNATURES
    ]
    call = await relay.verified(name, signatures, await read_body(receive))
    try:
        refuse_deep(call.body)
    except ValueError as problem:
        raise InvalidRequest(str(problem)) from None
    taken = await relay.accept(call)
    log.info(
        "relay.accepted",
        source=name,
        event_id=taken.id,
        deliveries=taken.deliveries,
        duplicate=taken.is_duplicate,
    )
