"""Responses that are not well-formed, and mean one thing all the same, as well-formed ones.

The parser is strict (`response.py`). What it refuses comes here, and goes back to it in the only
spelling that it takes, so that every bound stays where it is:

- a line ends with CR LF, or with LF alone (RFC 9112, 2.2);
- a field may continue in the next line (5.2), and have blanks before its colon (5.1);
- NUL and CR in a value are blanks (RFC 9110, 5.5), and a line that is no field is no field;
- Content-Length may be there more than once with one value (RFC 9112, 6.3), or together with chunks,
  which then count (6.1).

What could end in two places is refused: two lengths, a length that is no number, chunks whose
sizes are wrong. The connection is closed in any case, so no other response can be made of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

_STATUS_LINE = re.compile(rb"HTTP/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?:[ \t]|$)", re.IGNORECASE)
_BEGINNING = b"http/"
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_CONTROLS = bytes(set(range(0x20)) - {0x09}) + b"\x7f"
_AS_BLANKS = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_LENGTH = re.compile(rb"[0-9]{1,19}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})")
_CHUNK_SIZE_SO_FAR = re.compile(rb"[0-9A-Fa-f]{0,15}[ \t]*(?:;|\r?\Z)")
_INTERIM = range(100, 200)
_SHOWN_BYTES = 40
_LOOKED_AT_BYTES = 64

Field = tuple[bytes, bytes]


class AmbiguousResponse(Exception):
    """The response is ambiguous. `status` is the response's, 0 when that is ambiguous as well."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class NotHttp(Exception):
    """The bytes do not begin like a response; `data` is what they begin with."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _Part(Enum):
    HEAD = auto()
    BODY = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()


class LenientReader:
    """Takes the bytes of one exchange as they come; gives them well-formed.

    Keeps a line, or a head, until it is whole: the caller bounds how much it sends. `ambiguity` is why
    it does not continue; no bytes are passed on after that.
    """

    def __init__(self) -> None:
        self.ambiguity: AmbiguousResponse | None = None
        self._unread = bytearray()
        self._searched = 0
        self._part = _Part.HEAD
        self._lines: list[bytes] = []
        self._status = 0
        self._chunk_left = 0

    def translate(self, data: bytes) -> bytes:
        """Give what is whole by now. Raise `NotHttp` for what does not begin like a response."""
        if self.ambiguity is not None:
            return b""
        self._unread += data
        whole: list[bytes] = []
        try:
            whole.extend(self._parts())  # what comes before an ambiguity stays in it
        except AmbiguousResponse as ambiguity:
            self.ambiguity = ambiguity
        return b"".join(whole)

    def _parts(self) -> Iterator[bytes]:
        while self._unread:
            if self._part is _Part.BODY:
                yield self._take(len(self._unread))
            elif self._part is _Part.CHUNK:
                piece = self._take(min(self._chunk_left, len(self._unread)))
                self._chunk_left -= len(piece)
                if not self._chunk_left:
                    self._part = _Part.CHUNK_END
                yield piece
            else:
                line = self._line()
                if line is None:
                    return
                yield self._read_line(line)

    def _read_line(self, line: bytes) -> bytes:
        if self._part is _Part.HEAD:
            return self._read_head_line(line)
        if self._part is _Part.CHUNK_SIZE:
            return self._read_chunk_size(line)
        if self._part is _Part.CHUNK_END:
            if line:
                raise self._ambiguous("a chunk is longer than its size")
            self._part = _Part.CHUNK_SIZE
            return b"\r\n"
        if line:
            return b""  # a trailer, which is of no use
        self._part = _Part.BODY
        return b"\r\n"

    def _read_head_line(self, line: bytes) -> bytes:
        if line or not self._lines:
            if line:  # empty ones before the status line are none (RFC 9112, 2.2)
                self._lines.append(line)
            return b""
        lines, self._lines = self._lines, []
        status_line = _STATUS_LINE.match(lines[0])
        if status_line is None:
            raise AmbiguousResponse(f"its status line is {shown(lines[0])}")
        self._status = int(status_line[1])
        head = b"HTTP/1.1 %s \r\n" % status_line[1]
        if self._status in _INTERIM:
            return head + b"\r\n"
        fields = list(self._framed(list(_fields(lines[1:]))))
        return head + b"".join([b"%s: %s\r\n" % field for field in fields]) + b"\r\n"

    def _framed(self, fields: list[Field]) -> Iterator[Field]:
        """The fields, with one that says where the body ends, or none. Sets what comes next."""
        codings = _elements(fields, b"transfer-encoding")
        if codings == [b"identity"]:  # of HTTP/1.1 before 2014: none
            codings = []
        self._part = _Part.BODY
        if codings:
            yield b"Transfer-Encoding", b", ".join(codings)
            if codings[-1] == b"chunked":
                self._part = _Part.CHUNK_SIZE
        else:
            yield from self._length(fields)
        framing = {b"content-length", b"transfer-encoding"}
        yield from (field for field in fields if field[0].lower() not in framing)

    def _length(self, fields: list[Field]) -> Iterator[Field]:
        lengths = dict.fromkeys(_elements(fields, b"content-length"))
        for length in lengths:
            if not _LENGTH.fullmatch(length):
                raise self._ambiguous(f"its Content-Length is {shown(length)}")
        if len(set(map(int, lengths))) > 1:
            raise self._ambiguous(f"it has two lengths, {' and '.join(map(shown, [*lengths][:2]))}")
        yield from ((b"Content-Length", length) for length in [*lengths][:1])

    def _read_chunk_size(self, line: bytes) -> bytes:
        self._check_chunk_size(line)
        size = _CHUNK_SIZE.match(line)
        if size is None:
            raise self._ambiguous("the size of a chunk is ''")
        self._chunk_left = int(size[1], 16)
        self._part = _Part.CHUNK if self._chunk_left else _Part.TRAILERS
        return b"%x\r\n" % self._chunk_left

    def _check_chunk_size(self, line: bytes) -> None:
        """Raise `AmbiguousResponse` for what no size of a chunk begins with."""
        if not _CHUNK_SIZE_SO_FAR.match(line):
            raise self._ambiguous(f"the size of a chunk is {shown(line)}")

    def _line(self) -> bytes | None:
        """Take a line without its end; None: it is not whole. Raise `NotHttp` for a wrong start."""
        end = self._unread.find(b"\n", self._searched)
        if self._part is _Part.HEAD and not self._lines:
            self._check_beginning()
        if end < 0:
            self._searched = len(self._unread)
            if self._part is _Part.CHUNK_SIZE:
                self._check_chunk_size(bytes(self._unread[:_LOOKED_AT_BYTES]))
            return None
        self._searched = 0
        return self._take(end + 1)[:-1].removesuffix(b"\r")

    def _check_beginning(self) -> None:
        data = bytes(self._unread[:_LOOKED_AT_BYTES])
        beginning = data.lstrip(b"\r\n")[: len(_BEGINNING)].lower()
        if beginning != _BEGINNING[: len(beginning)]:
            if self._status:
                raise AmbiguousResponse(f"an interim answer is followed by {shown(data)}")
            raise NotHttp(data)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _ambiguous(self, reason: str) -> AmbiguousResponse:
        return AmbiguousResponse(reason, self._status)


def shown(data: bytes) -> str:
    """Return the bytes of a receiver for a message: short, and visible ASCII."""
    cut = "..." if len(data) > _SHOWN_BYTES else ""
    return ascii(data[:_SHOWN_BYTES].decode("latin-1")) + cut


def _fields(lines: list[bytes]) -> Iterator[Field]:
    """The fields of a head, each in one line. What is no field is left out."""
    unfolded: list[bytes] = []
    for line in lines:
        if line[:1] not in {b" ", b"\t"}:
            unfolded.append(line)
        elif unfolded:  # before the first field it continues nothing (RFC 9112, 2.2)
            unfolded[-1] += b" " + line.strip(b" \t")
    for line in unfolded:
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if colon and _NAME.fullmatch(name):
            yield name, value.translate(_AS_BLANKS).strip(b" \t")


def _elements(fields: list[Field], name: bytes) -> list[bytes]:
    """The elements of a list, which may be divided over fields of the same name, in lower case."""
    values = b",".join([value for given, value in fields if given.lower() == name])
    return [element for part in values.split(b",") if (element := part.strip(b" \t").lower())]
