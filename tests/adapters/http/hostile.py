"""A receiver that misbehaves on a script: real sockets on loopback, one script per connection.

    async with Hostile(says(b"HTTP/1.1 200 OK\\r\\n"), hangs) as server: ...

The first connection runs the first script, and so on; the last script serves all further ones.
Tests wait for its moments (`accepted`, `heard`, `gone`), never for time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

Script = Callable[["Peer"], Awaitable[None]]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CHUNK = 64 * 1024


class ClientDisconnected(Exception):
    """The client closed the connection."""


@dataclass(frozen=True)
class Request:
    """A request as it was on the wire. Header names as they were written."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name.lower()]


class Peer:
    """The receiver's side of one connection."""

    def __init__(self, server: Hostile, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.unread = b""

    async def receive(self) -> None:
        try:
            data = await self.loop.sock_recv(self.sock, CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            raise ClientDisconnected
        self.unread += data

    async def request(self) -> Request:
        """Read one whole request."""
        while b"\r\n\r\n" not in self.unread:
            await self.receive()
        head, _, rest = self.unread.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        headers = tuple(tuple(field.split(": ", 1)) for field in fields)
        length = 0 if line.startswith("GET ") else int(dict(headers)["Content-Length"])
        self.unread = rest
        while len(self.unread) < length:
            await self.receive()
        request = Request(line, headers, self.unread[:length])
        self.unread = self.unread[length:]
        self.server.requests.append(request)
        self.server.heard.set()
        return request

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            try:
                await self.loop.sock_sendall(self.sock, part)
            except ConnectionError:
                raise ClientDisconnected from None

    async def drip(self, data: bytes) -> None:
        """Send one byte at a time, each in a separate segment."""
        for position in range(len(data)):
            await self.say(data[position : position + 1])
            await asyncio.sleep(0)

    async def until_gone(self) -> None:
        """Read and forget until the client closes."""
        with contextlib.suppress(ClientDisconnected):
            while True:
                await self.receive()
                self.unread = b""
        raise ClientDisconnected

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.sock.close()


class Hostile:
    """The server. `url` gives where it listens; `requests` and `connections` what came."""

    def __init__(
        self,
        *scripts: Script,
        host: str = "127.0.0.1",
        port: int = 0,
        sock: socket.socket | None = None,
    ) -> None:
        self.scripts = scripts
        self.host = host
        self.requests: list[Request] = []
        self.connections = 0
        self.accepted = asyncio.Event()
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()
        self.socket = sock or socket.create_server((host, port), backlog=128)
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.tasks: list[asyncio.Task[None]] = []
        self.peers: list[Peer] = []

    def url(self, path: str = "/hook", *, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self.accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()
        for task in self.tasks:
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        for peer in self.peers:
            peer.close()
        broken = [result for result in results if isinstance(result, Exception)]
        assert not broken, broken

    def accept(self) -> None:
        # Not with `sock_accept`: cancelled in the wrong moment it loses the socket it has.
        sock, _ = self.socket.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        self.peers.append(Peer(self, sock))
        self.tasks.append(asyncio.create_task(self.play(script, self.peers[-1])))
        self.accepted.set()

    async def play(self, script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        except ClientDisconnected:
            self.gone.set()
        finally:
            peer.close()


def answer(
    status: int = 200, body: bytes = b"", *fields: tuple[str, str], reason: str = "OK"
) -> bytes:
    """A well-formed answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: int = 307) -> bytes:
    return answer(status, b"elsewhere", ("Location", location))


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer in chunks; without `end` it never finishes."""
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + end


def sends(*parts: bytes) -> Script:
    """Answers every request of the connection with the same bytes."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*parts)

    return script


def sends_in_turn(*answers: bytes) -> Script:
    """Answers the requests of the connection with one answer after the other, then waits."""

    async def script(peer: Peer) -> None:
        for data in answers:
            await peer.request()
            await peer.say(data)
        await peer.until_gone()

    return script


def sends_then_closes(*parts: bytes) -> Script:
    """Answers one request, then closes the connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(*parts)
        peer.close()

    return script


def sends_then_resets(*parts: bytes) -> Script:
    """Answers one request, then resets the connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(*parts)
        peer.reset()

    return script


def drips(data: bytes) -> Script:
    """Answers one request one byte at a time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.drip(data)
        await peer.until_gone()

    return script


def repeats(head: bytes, part: bytes, *, times: int) -> Script:
    """Answers with a head, and a part over and over: as good as endless."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(head)
        for _ in range(times):
            await peer.say(part)
        await peer.until_gone()

    return script


async def hangs(peer: Peer) -> None:
    """Reads everything and never says a word."""
    while True:
        await peer.request()


async def never_reads(peer: Peer) -> None:
    """Takes the connection and leaves what comes in the kernel, until the test is over."""
    await peer.loop.create_future()


async def resets_before_reading(peer: Peer) -> None:
    """Resets as soon as the first bytes of a request are there."""
    await peer.receive()
    peer.reset()


async def closes_before_reading(peer: Peer) -> None:
    """Closes the connection without a look at it."""
    peer.close()


@contextlib.contextmanager
def refusing_port(host: str = "127.0.0.1"):
    """A port that refuses: it is taken, and no process listens."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def silent_port(host: str = "127.0.0.1"):
    """A port where connecting never ends: its queue is full, and no process accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
