"""Bodies of HTTP messages that may be intercepted, and those that may not."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from outrider.domain.formats import go_json

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Header = tuple[bytes, bytes]

_SPACE = " \t\r\n"
_MAX_DRAINED = 16 * 1024 * 1024
# They say what the bytes of a body are, and those have changed.
_ABOUT_BYTES = frozenset({b"content-length", b"content-md5", b"content-digest", b"digest", b"etag"})


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The messages of a request as they came; `body` is None when it is longer than the limit."""

    messages: Sequence[Message]
    body: bytes | None
    is_cut: bool = False
    """The client left before its body was complete."""


async def read_body(receive: Receive, limit: int) -> RequestBody:
    """Read a request's body, and stop reading when there is more than `limit` bytes of it."""
    messages: list[Message] = []
    size, more = 0, True
    while more and size <= limit:
        message = await receive()
        messages.append(message)
        if message["type"] == "http.disconnect":
            return RequestBody(messages, None, is_cut=True)
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if size > limit:
        return RequestBody(messages, None)
    return RequestBody(messages, b"".join(message.get("body", b"") for message in messages))


async def drain_body(receive: Receive, request: RequestBody) -> None:
    """Read the rest of a body, at most 16 MiB: a client cut off while it sends reads no answer."""
    more, left = bool(request.messages[-1].get("more_body", False)), _MAX_DRAINED
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


def has_json(headers: Sequence[Header], *, or_no_type: bool = False) -> bool:
    """Whether the headers say that the body is JSON, and that it is not compressed.

    Of two headers of one name the application may take either: then it is not JSON.
    """
    kinds = _values(headers, b"content-type")
    encodings = _values(headers, b"content-encoding")
    if len(kinds) > 1 or not set(encodings) <= {b"", b"identity"}:
        return False
    kind = kinds[0].partition(b";")[0].strip() if kinds else b""
    is_absent = or_no_type and not kind
    return is_absent or kind == b"application/json" or kind.endswith(b"+json")


def json_text(body: bytes) -> str | None:
    """Return the text of a body that is one JSON value; None when it is anything else.

    UTF-16 and UTF-32 are read as well, as Python's JSON reads them: frameworks do, and what they
    read must not slip past the targets. However many values it has: the application bounds its
    bodies by their bytes.
    """
    try:
        text = body.decode(json.detect_encoding(body))
        go_json.check_value(text, limit=None)
    except ValueError:
        return None
    return text.strip(_SPACE)


def _values(headers: Iterable[Header], name: bytes) -> list[bytes]:
    return [value.strip().lower() for other, value in headers if other.lower() == name]


def header(headers: Iterable[Header], name: bytes) -> bytes:
    """Return the first value of a header, empty when it is absent; `name` in lower case."""
    return next((value for other, value in headers if other.lower() == name), b"")


def with_length(headers: Iterable[Header], length: int) -> list[Header]:
    """Return the headers for a body of other bytes."""
    kept = [pair for pair in headers if pair[0].lower() not in _ABOUT_BYTES]
    return [*kept, (b"content-length", str(length).encode())]
