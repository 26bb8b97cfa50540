"""A wire that a test can cut: a relay between a port of this machine and another address."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Reach = Callable[[], Awaitable[Streams]]
# SO_LINGER on, zero seconds: closing sends a reset instead of a FIN.
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Wire:
    """`port` leads to what `reach` connects to. `cuts` counts the connections that were cut."""

    reach: Reach
    cuts: int = 0
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)
    _passing: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it begins."""
        return self._server.sockets[0].getsockname()[1]

    @property
    def connection_count(self) -> int:
        """How many go through it."""
        return len(self._ends) // 2

    def cut(self) -> None:
        """Reset everything that goes through it, at both ends; new connections pass."""
        self.cuts += self.connection_count
        for end in list(self._ends):
            if end.transport.is_closing():
                continue
            sock = end.get_extra_info("socket")
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await self.reach()
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, back}
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            self._ends -= {writer, back}
            for end in (writer, back):
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def wire(reach: Reach) -> AsyncIterator[Wire]:
    """A wire for as long as the block lasts."""
    made = Wire(reach)
    made._server = await asyncio.start_server(made._begin, "127.0.0.1", 0)
    try:
        yield made
    finally:
        made._server.close()
        made.cut()
        await asyncio.gather(*made._passing)
        await made._server.wait_closed()
