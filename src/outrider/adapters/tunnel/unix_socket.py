"""Doors: a socket in the data directory for each tunnel that somebody listens to.

Who may open the file may call, and nobody else: the directory belongs to the server's user. What
a killed process leaves refuses connections, and the next listener replaces it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from outrider.adapters.tunnel.frames import (
    BadFrame,
    answer_frame,
    call_frame,
    read_answer,
    read_call,
)
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.outcome import Outcome
from outrider.domain.targets.tunnel import ReverseTunnel
from outrider.errors import Unavailable

DIRECTORY = "tunnels"
# A socket's path has at most 103 bytes on some systems; a descriptor's path is always short.
_MAX_PATH_BYTES = 100
_READ_BYTES = 256 * 1024


class UnixTunnelSockets:
    """Implements the port `Doors` in one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / DIRECTORY

    @asynccontextmanager
    async def open(
        self, tunnel: ReverseTunnel, post: Callable[[OutboundRequest], Awaitable[Response]]
    ) -> AsyncIterator[UnixTunnelSocket]:
        """See the port."""
        path = self._directory / _file_name(tunnel)
        try:
            listening = await asyncio.to_thread(_bound, path)
        except OSError as failure:
            raise Unavailable(f"no tunnel can be opened here: {failure.strerror}") from None
        door = UnixTunnelSocket(path, post)
        server = await asyncio.start_unix_server(door.serve, sock=listening, limit=_READ_BYTES)
        try:
            yield door
        finally:
            server.close()
            door.close()


class UnixTunnelSocket:
    """One of them. It serves one call on each connection."""

    def __init__(self, path: Path, post: Callable[[OutboundRequest], Awaitable[Response]]) -> None:
        self._path = path
        self._inode = path.stat().st_ino
        self._post = post
        self._serving: set[asyncio.Task[None]] = set()

    def is_ours(self) -> bool:
        """See the port."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """No call comes in any more."""
        if self.is_ours():
            with suppress(OSError):
                self._path.unlink()
        for task in self._serving:
            task.cancel()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One call."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = await read_call(reader)
            try:
                frame = answer_frame(await self._post(call))
            except RequestError as failed:
                frame = answer_frame(failed)
            writer.write(frame)
            await writer.drain()
        except (OSError, BadFrame):
            pass  # nobody waits for an answer any more
        finally:
            writer.close()


class TunnelClient:
    """Makes calls through the doors of one data directory, from any process of it."""

    def __init__(self, data_dir: Path, user_agent: str) -> None:
        self._directory = data_dir / DIRECTORY
        self._agent = ("User-Agent", user_agent)

    async def post(self, tunnel: ReverseTunnel, call: OutboundRequest) -> Response:
        """Return the listener's answer. Raise `RequestError`: also when nobody listens."""
        has_agent = any(name.lower() == "user-agent" for name, _ in call.headers)
        headers = call.headers if has_agent else (*call.headers, self._agent)
        whole = OutboundRequest(call.url, headers, call.body, call.timeout)
        try:
            async with asyncio.timeout(call.timeout):
                return await self._ask(tunnel, whole)
        except TimeoutError:
            reason = f"time-out after {call.timeout:.3g} s while waiting for the listener"
            raise _unreachable(Stage.ANSWER, reason) from None

    async def _ask(self, tunnel: ReverseTunnel, call: OutboundRequest) -> Response:
        try:
            with _short(self._directory / _file_name(tunnel)) as path:
                reader, writer = await asyncio.open_unix_connection(path, limit=_READ_BYTES)
        except OSError:
            reason = f"nobody listens to the tunnel {tunnel.name}"
            raise _unreachable(Stage.CONNECT, reason) from None
        try:
            writer.write(call_frame(call))
            await writer.drain()
            return await read_answer(reader)
        except (OSError, BadFrame):
            raise _unreachable(Stage.ANSWER, "the listener of the tunnel went away") from None
        finally:
            writer.close()


def _file_name(tunnel: ReverseTunnel) -> str:
    return f"{tunnel.instance}.{tunnel.name}"


def _bound(path: Path) -> socket.socket:
    """A socket that listens at `path`, from one moment to the next."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(fresh) as short:
            listening.bind(short)
        fresh.chmod(0o600)
        listening.listen()
        fresh.replace(path)
    except BaseException:
        listening.close()
        raise
    return listening


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the file that fits into a socket's address."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _unreachable(stage: Stage, reason: str) -> RequestError:
    return RequestError(Outcome.UNREACHABLE, stage, reason)
