"""A proxy that works: it opens tunnels, and knows names that only it knows."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Self

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class Proxy:
    """`asked` are the request lines and `headers` the header lines that came, in order.

    Every tunnel leads to loopback, whatever name was asked for, at the port that was.
    """

    context: ssl.SSLContext | None = None
    opens_with: bytes = OPEN
    asked: list[str] = field(default_factory=list)
    headers: list[list[str]] = field(default_factory=list)
    tunnels: list[asyncio.Task[None]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def url(self, user: str = "", *, host: str = "127.0.0.1") -> str:
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://{user}{host}:{self.port}"

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.gather(*self.tunnels, return_exceptions=True)
        await self.server.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            line, *headers = head.decode().removesuffix("\r\n\r\n").split("\r\n")
            self.asked.append(line)
            self.headers.append(headers)
            port = int(line.split(" ")[1].rpartition(":")[2])
            onwards = await asyncio.open_connection("127.0.0.1", port)
            self.writers.append(onwards[1])
            writer.write(self.opens_with)
            directions = ((reader, onwards[1]), (onwards[0], writer))
            self.tunnels += [asyncio.create_task(pump(*direction)) for direction in directions]


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Bring bytes from here to there until one side ends."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(64 * 1024):
            sink.write(data)
            await sink.drain()
    sink.close()
