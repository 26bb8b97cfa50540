"""Cross-origin requests, as ZITADEL allows them: from every origin, with credentials.

A bearer token identifies callers, and no browser adds one by itself, so an origin gains nothing by
being allowed. No application that identifies callers by a cookie may stand behind this.
https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from outrider.api.asgi.types import (
    App,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    header,
    send_response,
)

NO_CONTENT = 204
METHODS = b"OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    b"Origin, Content-Type, Accept, Accept-Language, Authorization, x-zitadel-orgid, "
    b"x-user-agent, x-grpc-web, x-requested-with, Connect-Protocol-Version, Connect-Timeout-Ms, "
    b"Grpc-Timeout"
)
RESPONSE_HEADERS = (
    b"Location, Content-Length, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, "
    b"Outrider-Interception-Id, Outrider-Replaced, Outrider-Shadows, Outrider-Shadowed-By"
)
# Browsers ask again after this many seconds; none of them caches it for more than two hours.
MAX_AGE = b"7200"


def cors(app: App) -> App:
    """Answers preflight requests, and lets browsers read every other answer."""

    async def answer_with_cors(scope: Scope, receive: Receive, send: Send) -> None:
        origin = header(scope, b"origin")
        if origin is None:
            await app(scope, receive, send)
        elif is_preflight(scope):
            await send_response(send, NO_CONTENT, [*origin_headers(origin), *preflight_headers()])
        else:
            await app(scope, receive, send_readable(send, origin))

    return answer_with_cors


def is_preflight(scope: Scope) -> bool:
    """Return whether this is a preflight request of a browser."""
    asks = header(scope, b"access-control-request-method") is not None
    return asks and scope["method"] == "OPTIONS"


def origin_headers(origin: bytes) -> list[Header]:
    """Names the origin itself: with credentials a browser takes no wildcard."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"Origin"),
    ]


def preflight_headers() -> list[Header]:
    """Return the headers that tell a browser which requests are allowed."""
    return [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", REQUEST_HEADERS),
        (b"access-control-max-age", MAX_AGE),
    ]


def send_readable(send: Send, origin: bytes) -> Send:
    """A `send` that lets the page of this origin read the answer and its headers."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [*origin_headers(origin), (b"access-control-expose-headers", RESPONSE_HEADERS)]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return with_headers
