"""A receiver behind TLS that answers every request with the same bytes."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self


class SecureServer:
    """`sent_names` are the host names that clients asked for in the handshake (SNI)."""

    def __init__(self, context: ssl.SSLContext, answer: bytes) -> None:
        self.context = context
        self.context.sni_callback = self.note_name
        self.answer = answer
        self.sent_names: list[str | None] = []
        self.protocols: list[str | None] = []
        self.connections = 0
        self.heard = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    def note_name(self, _connection, name: str | None, _context) -> None:
        self.sent_names.append(name)

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await self.server.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        connection = writer.get_extra_info("ssl_object")
        self.protocols.append(connection.version())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                self.heard.set()
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()
