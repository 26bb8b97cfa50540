"""Bodies of HTTP messages that may be intercepted, and those that may not."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from outrider.domain.interception.message import JsonObject

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Header = tuple[bytes, bytes]

_MAX_DRAINED = 16 * 1024 * 1024
# They say what the bytes of a body are, and those have changed.
_ABOUT_BYTES = frozenset({b"content-length", b"content-md5", b"content-digest", b"digest", b"etag"})


@dataclass(frozen=True, slots=True)
class Received:
    """The messages of a request as they came; `body` is None when it is longer than the limit."""

    messages: Sequence[Message]
    body: bytes | None
    is_cut: bool = False
    """The client left before its body was complete."""


async def received(receive: Receive, limit: int) -> Received:
    """Read a request's body, and stop reading when there is more than `limit` bytes of it."""
    messages: list[Message] = []
    size, more = 0, True
    while more and size <= limit:
        message = await receive()
        messages.append(message)
        if message["type"] == "http.disconnect":
            return Received(messages, None, is_cut=True)
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if size > limit:
        return Received(messages, None)
    return Received(messages, b"".join(each.get("body", b"") for each in messages))


async def drained(receive: Receive, came: Received) -> None:
    """Read the rest of a body, at most 16 MiB: who is cut off while he sends reads no answer."""
    more, left = bool(came.messages[-1].get("more_body", False)), _MAX_DRAINED
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


def is_json(headers: Iterable[Header]) -> bool:
    """Whether the body is JSON, neither compressed nor a stream of events."""
    kind = header(headers, b"content-type").partition(b";")[0].strip().lower()
    plain = header(headers, b"content-encoding").strip().lower() in {b"", b"identity"}
    return plain and (kind == b"application/json" or kind.endswith(b"+json"))


def json_object(body: bytes) -> JsonObject | None:
    """Return the object; None when the body is anything else."""
    try:
        value = json.loads(body, parse_constant=_no_constants)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def json_bytes(message: JsonObject) -> bytes:
    """Return a body for a message that a target made."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def header(headers: Iterable[Header], name: bytes) -> bytes:
    """Return the first value of a header, empty when it is absent; `name` in lower case."""
    return next((value for given, value in headers if given.lower() == name), b"")


def with_length(headers: Iterable[Header], length: int) -> list[Header]:
    """Return the headers for a body of other bytes."""
    kept = [each for each in headers if each[0].lower() not in _ABOUT_BYTES]
    return [*kept, (b"content-length", str(length).encode())]


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
