"""As much of HTTP/2 (RFC 9113) as one caller needs to see how its connection ends.

gRPC's client hides a GOAWAY: it opens another connection and continues.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY = 0, 1, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_STATUS_200 = 0x88  # an entry of HPACK's static table
_OK = 200


@dataclass
class Http2Connection:
    """One connection, one call at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str
    is_told_to_leave: bool = False
    _stream: int = -1

    @classmethod
    async def open(cls, address: tuple[str, int], token: str) -> Http2Connection:
        """Connect with prior knowledge, as gRPC does."""
        connection = cls(*await asyncio.open_connection(*address), token)
        connection.writer.write(_PREFACE + _frame(_SETTINGS, 0, 0))
        return connection

    async def call(self, path: str) -> int:
        """POST an empty JSON object; 200, or 0 for any other status. The answer is read whole."""
        self._stream += 2
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/json"),
            ("authorization", f"Bearer {self.token}"),
        ]
        block = b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields)
        self.writer.write(
            _frame(_HEADERS, _END_HEADERS, self._stream, block)
            + _frame(_DATA, _END_STREAM, self._stream, b"{}")
        )
        status = None
        while True:
            kind, flags, stream, payload = await self._next()
            if stream == self._stream and kind == _HEADERS and status is None:
                status = _OK if payload[0] == _STATUS_200 else 0
            if stream == self._stream and kind in {_HEADERS, _DATA} and flags & _END_STREAM:
                return status or 0

    async def ended(self) -> None:
        """Read until the server has closed the connection. Raise `ConnectionError` when it cuts it."""
        while True:
            try:
                await self._next()
            except asyncio.IncompleteReadError as ended:
                if ended.partial:
                    raise ConnectionError("cut within a frame") from None
                self.writer.close()
                return

    async def _next(self) -> tuple[int, int, int, bytes]:
        head = await self.reader.readexactly(9)
        kind, flags = head[3], head[4]
        stream = struct.unpack(">I", head[5:])[0] & 0x7FFF_FFFF
        payload = await self.reader.readexactly(int.from_bytes(head[:3]))
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            self.writer.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        self.is_told_to_leave = self.is_told_to_leave or kind == _GOAWAY
        return kind, flags, stream, payload


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _literal(text: str) -> bytes:
    # Lengths below 127 are one byte; none of ours is longer.
    return bytes([len(text)]) + text.encode("ascii")
