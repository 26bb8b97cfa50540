"""gRPC-Web in Base64, for browsers that cannot read binary answers as they arrive.

A wrapper: it decodes requests, and encodes each piece of the answer.
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode

from outrider.api.asgi.limits import ENVELOPE_BYTES, REQUEST_BYTES, SEND_LESS, TOO_LARGE
from outrider.api.asgi.types import (
    App,
    BodyTooLargeError,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    read_body,
    receive_after,
    without_headers,
)
from outrider.api.rpc.protocol_errors import Wire, media_type, wire_of
from outrider.errors import InvalidRequest

TEXT = "grpc-web-text"
BINARY = "grpc-web"
# Base64 makes four characters of three bytes.
TEXT_LIMIT = (REQUEST_BYTES + ENVELOPE_BYTES) * 4 // 3 + 4

# Two for each text; a call has one message, and a client writes it in one text or a few.
_ENCODE = "encode the frames of a message as one Base64 text, or send application/grpc-web+proto"
MAX_PADDING = 2_000

# Callers may encode piece by piece, so padding may stand in the middle.
_PIECE = re.compile(rb"[^=]*=+|[^=]+")


def grpc_web_text(app: App) -> App:
    """Wraps an application that speaks gRPC-Web; other requests pass through."""

    async def answer_decoded(scope: Scope, receive: Receive, send: Send) -> None:
        if wire_of(scope) is not Wire.GRPC_WEB_TEXT:
            await app(scope, receive, send)
        else:
            await app(as_binary(scope), receive_decoded(receive), send_encoded(send))

    return answer_decoded


def receive_decoded(receive: Receive) -> Receive:
    """A `receive` whose body is what the text says; a text that says nothing it raises."""

    async def decoded() -> bytes:
        try:
            return decode_text(await read_body(receive, TEXT_LIMIT))
        except BodyTooLargeError:
            raise InvalidRequest(TOO_LARGE, hint=SEND_LESS) from None
        except binascii.Error:
            raise InvalidRequest("body is not Base64", hint=_ENCODE) from None

    return receive_after(decoded, receive)


def decode_text(text: bytes) -> bytes:
    """The bytes of one or more Base64 texts, written one after the other.

    Raises:
        InvalidRequest: there are more texts than any client writes, and each would take time.
        binascii.Error: one of them is none.
    """
    if text.count(b"=") > MAX_PADDING:
        raise InvalidRequest(
            f"body has more than {MAX_PADDING} Base64 padding characters", hint=_ENCODE
        )
    return b"".join(binascii.a2b_base64(piece, strict_mode=True) for piece in _PIECE.findall(text))


def as_binary(scope: Scope) -> Scope:
    """The same request with the binary content type and without the length of the text."""
    content_type = media_type(scope).replace(TEXT, BINARY).encode()
    headers = without_headers(scope["headers"], b"content-type", b"content-length")
    return {**scope, "headers": [*headers, (b"content-type", content_type)]}


def send_encoded(send: Send) -> Send:
    """A `send` that encodes what goes out."""

    async def encode_and_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [as_text(item) for item in message["headers"]]
            message = {**message, "headers": without_headers(headers, b"content-length")}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b64encode(message.get("body", b""))}
        await send(message)

    return encode_and_send


def as_text(item: Header) -> Header:
    """The header with the content type of a text."""
    name, value = item
    if name.lower() == b"content-type":
        value = value.replace(BINARY.encode(), TEXT.encode(), 1)
    return name, value
