"""gzip of messages, in a time that no caller decides.

The protocol library's own copies the rest of the input for each member of it: four megabytes of
empty members would take it half a minute. It also compresses every answer as well as it can, ten
megabytes a second, for any caller.
"""

from __future__ import annotations

import gzip
import zlib

from connectrpc.code import Code
from connectrpc.compression import Compression
from connectrpc.errors import ConnectError

# RFC 1952 allows any number, one after the other; clients write one.
MAX_MEMBERS = 10
_GZIP = 31

# From this size on an answer is compressed less, to spend about two milliseconds on it.
_QUICK_FROM = 64 * 1024
_STORED_FROM = 512 * 1024
_BEST, _QUICK, _STORED = 6, 1, 0


class Gzip(Compression):
    """Reads and writes `gzip`."""

    def name(self) -> str:
        """As it is called in headers."""
        return "gzip"

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        """A large answer is only wrapped."""
        level = _BEST
        if len(data) >= _STORED_FROM:
            level = _STORED
        elif len(data) >= _QUICK_FROM:
            level = _QUICK
        return gzip.compress(data, compresslevel=level, mtime=0)

    def decompress(
        self, data: bytes | bytearray | memoryview, read_max_bytes: int | None = None
    ) -> bytes:
        """Return the decompressed bytes.

        Raises:
            ConnectError: resource_exhausted, it is longer than `read_max_bytes`; invalid_argument,
                it has more members than any client writes.
            EOFError: the data end too early.
            zlib.error: the data are not gzip.
        """
        rest = memoryview(data)
        parts: list[bytes] = []
        size = 0
        for _member in range(MAX_MEMBERS):
            unpacker = zlib.decompressobj(_GZIP)
            part = unpacker.decompress(
                rest, 0 if read_max_bytes is None else read_max_bytes + 1 - size
            )
            size += len(part)
            parts.append(part)
            if read_max_bytes is not None and size > read_max_bytes:
                raise ConnectError(
                    Code.RESOURCE_EXHAUSTED, f"message is larger than {read_max_bytes}"
                )
            if not unpacker.eof:
                raise EOFError("the compressed data end too early")
            if not unpacker.unused_data:
                return b"".join(parts)
            rest = rest[len(rest) - len(unpacker.unused_data) :]
        raise ConnectError(
            Code.INVALID_ARGUMENT, f"the compressed data have more than {MAX_MEMBERS} members"
        )
