"""Parse HTTP/1.1 responses (RFC 9112) from bytes, without I/O and clock.

The receiver is not trusted, so every part of a response is bounded before it is kept.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from outrider.adapters.http.connect.errors import not_http
from outrider.adapters.http.connect.lenient import LenientReader, NotHttp
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import BODY_PREFIX_BYTES, MAX_RESPONSE_BYTES, Response

FIRST_STATUS = 100
FIRST_FINAL_STATUS = 200
SWITCHING_PROTOCOLS = 101
_USUAL_CHUNK_BYTES = 64
_PIECE_BYTES = 4096
_ANNOUNCED_IDLE = re.compile(r'(?<![\w-])timeout[ \t]*=[ \t]*"?([0-9]{1,6})', re.IGNORECASE)
_IDLE_MARGIN = 1.0  # the way there, and a receiver that counts whole seconds


class InvalidHttpResponse(Exception):
    """The bytes are no response, or break a limit. The text goes to the attempt log."""


class ResponseParser:
    """Reads the responses of one connection, one after the other.

    `begin` before every request, `feed` what arrives, `end` when the peer has sent its last byte.
    After `InvalidHttpResponse`, or when `reusable` is False, the parser and its connection are
    used up.
    """

    __slots__ = (
        "_beginning",
        "_body",
        "_body_bytes",
        "_body_limit",
        "_chunks",
        "_failure",
        "_fields",
        "_headers",
        "_interims",
        "_lenient",
        "_limits",
        "_overhead_bytes",
        "_parser",
        "_response",
        "_status",
        "idle_seconds",
        "reusable",
    )

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._parser = HttpResponseParser(self)
        self._lenient: LenientReader | None = None
        self.idle_seconds = limits.idle
        self.begin()

    def begin(self, body_limit: int = MAX_RESPONSE_BYTES) -> None:
        """Forget the last response. Of the next one's body, `body_limit` bytes are needed."""
        self._body_limit = body_limit
        self.reusable = False
        self._response: Response | None = None
        self._failure: str | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: tuple[tuple[str, str], ...] = ()
        self._status = 0
        self._interims = 0
        self._overhead_bytes = 0
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._chunks = 0
        self._beginning: bytearray | None = None

    def feed(self, data: bytes) -> Response | None:
        """Take the next bytes; give the response as soon as it is whole. Raise `InvalidHttpResponse`."""
        self._overhead_bytes += len(data)
        try:
            if self._lenient is None:
                self._parser.feed_data(data)
            else:
                self._feed_leniently(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            # Bytes after a whole response spoil the connection, not the response.
            self.reusable = False
            if self._response is None:
                self._read_again(data, error)
        response = self._response
        if response is None:
            if self._overhead_bytes > self._limits.max_head_bytes:
                raise InvalidHttpResponse(self._too_much_overhead())
            self._hold(data)
        else:
            # A connection may be idle for a while, and a body weighs up to 20 MiB.
            self._response = self._beginning = None
        return response

    def end(self, *, is_sure: bool = True) -> Response:
        """The peer closed. Give the response if closing ends it, else raise `InvalidHttpResponse`.

        `is_sure`: whether the end is the peer's own, and no fault or forgery of the network.
        """
        if not self._status:
            raise InvalidHttpResponse("connection closed before the answer was complete")
        if any(map(_is_framing, self._headers)):
            raise InvalidHttpResponse(f"connection closed {self.progress}")
        return Response(self._status, self._headers, bytes(self._body), is_sure)

    @property
    def partial(self) -> Response | None:
        """What there is of a response that is not whole; None while its status is not known."""
        if not self._status:
            return None
        return Response(
            self._status, self._headers, bytes(self._body[:BODY_PREFIX_BYTES]), is_whole=False
        )

    @property
    def progress(self) -> str:
        """How far a response is that is not whole: "" while its status is not known."""
        if not self._status:
            return ""
        lengths = [value for name, value in self._headers if name == "content-length"]
        whole = f" of {lengths[0]}" if lengths else ""
        return f"in the middle of the answer's body, after {self._body_bytes}{whole} bytes"

    def _hold(self, data: bytes) -> None:
        """Keep the beginning of a response, so that it can be read again leniently."""
        if self._lenient is not None or self._body_bytes > self._limits.max_head_bytes:
            self._beginning = None
        elif self._beginning is None:
            self._beginning = bytearray(data)
        else:
            self._beginning += data

    def _read_again(self, data: bytes, error: Exception) -> None:
        """Read leniently, from the beginning, what the strict parser refuses with `error`."""
        if self._failure is not None:
            raise InvalidHttpResponse(self._failure) from None
        is_begun = self._lenient is None and self._body_bytes <= self._limits.max_head_bytes
        if not is_begun or isinstance(error, HttpParserUpgrade):
            raise InvalidHttpResponse(_sentence(error)) from None
        beginning = bytes(self._beginning or b"") + data
        self.begin(self._body_limit)
        self._overhead_bytes = len(beginning)
        self._lenient, self._parser = LenientReader(), HttpResponseParser(self)
        try:
            self._feed_leniently(beginning)
        except (HttpParserError, HttpParserUpgrade) as again:
            if self._response is None:
                raise InvalidHttpResponse(self._failure or _sentence(again)) from None

    def _feed_leniently(self, data: bytes) -> None:
        lenient = self._lenient or LenientReader()
        try:
            # In pieces, so that a bound of the parser ends the translation, too.
            for start in range(0, len(data), _PIECE_BYTES):
                self._parser.feed_data(lenient.translate(data[start : start + _PIECE_BYTES]))
        except NotHttp as other:
            raise InvalidHttpResponse(not_http(other.data)) from None
        finally:
            self.reusable = False
        if lenient.ambiguity is not None and self._response is None:
            self._status = self._status or lenient.ambiguity.status
            raise InvalidHttpResponse(f"answer is not valid HTTP: {lenient.ambiguity}")

    # What follows is called by the parser. An exception raised in there loses its text on the
    # way, so `_fail` keeps the sentence.

    def on_message_begin(self) -> None:
        """Something follows the whole response: no request asked for it."""
        if self._response is not None:
            self._fail("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; after the body, a trailer, which is not kept."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        fields, limits = self._fields, self._limits
        if len(fields) > limits.max_fields:
            self._fail(f"answer with more than {limits.max_fields} header fields")
        if self._overhead_bytes > limits.max_head_bytes and _size(fields) > limits.max_head_bytes:
            self._fail(self._too_much_overhead())
        status = self._parser.get_status_code()
        if status < FIRST_STATUS or status == SWITCHING_PROTOCOLS:
            self._fail(f"answer with the status {status:03}, which was not requested")
        if status >= FIRST_FINAL_STATUS:
            self._status = status
            self._headers = tuple(
                [
                    (name.decode("latin-1").lower(), value.decode("latin-1"))
                    for name, value in fields
                ]
            )
        self._fields = []

    def on_chunk_header(self) -> None:
        """Another chunk begins."""
        self._chunks += 1
        allowed = self._limits.max_small_chunks + self._body_bytes // _USUAL_CHUNK_BYTES
        if self._chunks > allowed:
            self._fail(f"answer in chunks smaller than {_USUAL_CHUNK_BYTES} bytes")

    def on_body(self, part: bytes) -> None:
        """A part of the body, without the framing."""
        self._overhead_bytes = 0
        body = self._body
        self._body_bytes += len(part)
        if self._body_bytes > self._limits.max_body_bytes:
            self._fail(f"answer larger than {self._limits.max_body_bytes / 2**20:g} MiB")
        if not body:
            self._body = part
        elif len(body) >= self._body_limit:
            pass
        elif isinstance(body, bytearray):
            body += part
        else:
            # Not a list of parts: a body of one-byte chunks would weigh forty times its size.
            self._body = bytearray(body) + part

    def on_message_complete(self) -> None:
        """A response is whole: an interim one (RFC 9110, 15.2) is dropped, a final one is kept."""
        if self._status:
            self.reusable = self._parser.should_keep_alive()
            self.idle_seconds = allowed_idle(self._headers, self._limits)
            self._response = Response(self._status, self._headers, bytes(self._body))
            self._body = b""
            return
        self._interims += 1
        self._body = b""
        self._body_bytes = 0
        if self._interims > self._limits.max_interim_responses:
            self._fail(f"more than {self._limits.max_interim_responses} interim answers")

    def _too_much_overhead(self) -> str:
        part = "chunk framing" if self._status else "head"
        return f"answer with a {part} larger than {self._limits.max_head_bytes // 1024} KiB"

    def _fail(self, reason: str) -> None:
        self._failure = reason
        raise InvalidHttpResponse(reason)


def allowed_idle(headers: tuple[tuple[str, str], ...], limits: ClientLimits) -> float:
    """How long a connection may be idle after this response, so that we close it first.

    The field is `Keep-Alive: timeout=5`; without one, receivers close after the usual times.
    """
    seconds = limits.idle
    for name, value in headers:
        if name == "keep-alive":
            announced = _ANNOUNCED_IDLE.search(value)
            if announced is not None:
                whole = int(announced[1])
                seconds = min(whole - min(_IDLE_MARGIN, whole / 2), limits.longest_idle)
    return seconds


def _is_framing(header: tuple[str, str]) -> bool:
    """Whether a header says where the body ends, so that the connection's end does not."""
    name, value = header
    if name == "transfer-encoding":
        return value.rpartition(",")[2].strip().lower() == "chunked"
    return name == "content-length"


def _size(fields: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)  # ": " and the line's end


def _sentence(error: Exception) -> str:
    if isinstance(error, HttpParserUpgrade):
        return "answer that switches to another protocol"
    return f"answer is not valid HTTP: {error}"
