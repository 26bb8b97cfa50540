"""A pooler between clients and PostgreSQL that hands out sessions of the server, for one database.

It speaks the protocol of PostgreSQL as far as the tests of poolers need it, so that they need
nothing installed. `support.pgbouncer` is the real thing, where there is one.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import parse_qs, urlsplit

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_MADE_UP = count(1_000_000)
_ENDS_A_REQUEST = (b"Q", b"S")
_READY_S = 20.0


@dataclass
class _Session:
    """A connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes = b""


@dataclass
class _Client:
    """A client, and the session that it has for now."""

    writer: asyncio.StreamWriter
    session: _Session | None = None
    unanswered: int = 0
    is_between: bool = True
    answering: list[asyncio.Task[None]] = field(default_factory=list)


class _Pooler:
    """`keeps_sessions`: a client has its session until it leaves, and not for a transaction only."""

    def __init__(self, url: str, *, keeps_sessions: bool, size: int, takes_turns: bool) -> None:
        self._url = urlsplit(url)
        self._keeps_sessions = keeps_sessions
        self._idle: asyncio.Queue[_Session | None] = (
            asyncio.Queue() if takes_turns else asyncio.LifoQueue()
        )
        self._writers: list[asyncio.StreamWriter] = []
        for _ in range(size):
            self._idle.put_nowait(None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it leaves."""
        self._writers.append(writer)
        client = _Client(writer)
        try:
            startup = await _startup(reader, writer)
            await self._greet(client, startup)
            while (message := await _message(reader))[:1] != b"X":
                if client.session is None:
                    client.session = await self._session(startup)
                    task = asyncio.create_task(self._answer(client, client.session))
                    client.answering.append(task)
                client.is_between = message[:1] in _ENDS_A_REQUEST
                client.unanswered += client.is_between
                client.session.writer.write(message)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass  # It left, or the pooler ends.
        finally:
            self._end(client)

    async def close(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _greet(self, client: _Client, startup: bytes) -> None:
        """Say what the server says, with a number of a process that is made up."""
        session = await self._session(startup)
        self._idle.put_nowait(session)
        client.writer.write(session.greeting.replace(b"Z\0\0\0\5I", b""))
        client.writer.write(struct.pack(">cIII", b"K", 12, next(_MADE_UP), 0) + b"Z\0\0\0\5I")

    async def _session(self, startup: bytes) -> _Session:
        return await self._idle.get() or await self._connect(startup)

    async def _connect(self, startup: bytes) -> _Session:
        host = parse_qs(self._url.query).get("host", [""])[0]
        port = self._url.port or 5432
        if host.startswith("/"):
            session = _Session(*await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}"))
        else:
            session = _Session(*await asyncio.open_connection(self._url.hostname, port))
        self._writers.append(session.writer)
        session.writer.write(startup)
        while (message := await _message(session.reader))[:1] != b"Z":
            if message[:1] != b"K":
                session.greeting += message
        return session

    async def _answer(self, client: _Client, session: _Session) -> None:
        """Hand over what the server answers, until the session is another client's again."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while client.session is session:
                message = await _message(session.reader)
                client.writer.write(message)
                client.unanswered -= message[:1] == b"Z"
                is_over = message == b"Z\0\0\0\5I" and client.is_between and not client.unanswered
                if is_over and not self._keeps_sessions:
                    client.session = None
                    self._idle.put_nowait(session)

    def _end(self, client: _Client) -> None:
        client.writer.close()
        for task in client.answering:
            task.cancel()
        if client.session is not None:
            # It may be in the middle of something: no client else gets it.
            client.session.writer.close()
            self._idle.put_nowait(None)


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack(">II", head)
        if code not in {_SSL_REQUEST, _GSS_REQUEST}:
            return head + await reader.readexactly(length - 8)
        writer.write(b"N")


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


@contextmanager
def pooler(
    url: str, *, keeps_sessions: bool = False, size: int = 20, takes_turns: bool = False
) -> Iterator[str]:
    """The URL of the same database through a pooler of that number of sessions, which ends with the block.

    `takes_turns`: the session that is idle for longest is used next, else the one used last.
    """
    ports: list[int] = []
    is_ready, ending = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        made = _Pooler(url, keeps_sessions=keeps_sessions, size=size, takes_turns=takes_turns)
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        is_ready.set()
        await ending.wait()
        server.close()
        clients = asyncio.all_tasks() - {asyncio.current_task()}
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await made.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert is_ready.wait(_READY_S)
        parts = urlsplit(url)
        address = f"{parts.username}@127.0.0.1:{ports[0]}"
        yield parts._replace(netloc=address, query="").geturl()
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        loop.close()
