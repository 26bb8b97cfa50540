"""The types of ASGI that this package uses, with helpers for requests and responses.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from outrider.api.asgi.limits import REQUEST_BYTES

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

TRAILERS = "http.response.trailers"

# How long a call may go on after its caller has left.
DISCONNECT_POLL_S = 0.1


class BodyTooLargeError(Exception):
    """The request's body goes on after the limit."""


class DisconnectedError(Exception):
    """The client left before its body was complete, or before it had its answer."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a header; its name in lower case."""
    return next((value for given, value in scope["headers"] if given == name), None)


def without_headers(headers: Iterable[Header], *names: bytes) -> list[Header]:
    """All headers but these; names in lower case."""
    return [(name, value) for name, value in headers if name not in names]


async def read_body(receive: Receive, limit: int = REQUEST_BYTES) -> bytes:
    """The whole body.

    Raises:
        BodyTooLargeError: as soon as more than `limit` bytes have come.
        DisconnectedError: the client left.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def send_or_disconnect(send: Send, message: Message) -> None:
    """Send a part of the answer.

    Raises:
        DisconnectedError: the client has left.
    """
    try:
        await send(message)
    except Exception as error:
        # What pyvoy raises cannot be imported; other servers raise an OSError, as in ASGI.
        if isinstance(error, OSError) or type(error).__name__ == "ClientDisconnectedError":
            raise DisconnectedError from error
        raise


def poll_disconnect(receive: Receive) -> Receive:
    """A `receive` that waits, once the body is complete, until the client has left.

    The protocol library watches for that beside every handler, in a loop. The server (pyvoy 1.3)
    does not wait there: it answers at once with another empty end of the body, which would turn
    the watch into a loop that never yields. So it is asked now and then, and not at all during
    calls that are quick. A wait that is cancelled goes on in the background: the server resolves
    it all the same, and complains on standard error when the waiting task is gone.
    """
    complete = False

    async def receive_or_poll() -> Message:
        nonlocal complete
        while complete:
            await asyncio.sleep(DISCONNECT_POLL_S)
            message = await asyncio.shield(receive())
            if message["type"] == "http.disconnect":
                return message
        message = await receive()
        complete = not message.get("more_body", False)
        return message

    return receive_or_poll


def receive_after(read: Callable[[], Awaitable[bytes]], receive: Receive) -> Receive:
    """A `receive` that gives what `read` makes of the body, and then what the client does next.

    Nothing is read before the application asks for it; what `read` raises, the application gets.
    """
    is_given = False

    async def receive_next() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": await read(), "more_body": False}

    return receive_next


async def send_response(
    send: Send, status: int, headers: Iterable[Header], body: bytes = b""
) -> None:
    """Sends a whole response."""
    length = str(len(body)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", length)],
        }
    )
    await send({"type": "http.response.body", "body": body})
