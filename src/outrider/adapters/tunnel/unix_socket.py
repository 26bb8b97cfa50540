"""Unix sockets of tunnels: one in the data directory for each tunnel that has a listener.

Only processes that may open the file may send requests: the directory belongs to the server's
user. The socket of a killed process refuses connections, and the next listener replaces it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from outrider.adapters.tunnel.frames import (
    BadFrame,
    read_request,
    read_response,
    request_frame,
    response_frame,
)
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.outcome import Outcome
from outrider.domain.targets.tunnel import ReverseTunnel
from outrider.errors import Unavailable
from outrider.usecases.ports.tunnels import Send

DIRECTORY = "tunnels"
# A socket's path has at most 103 bytes on some systems; a descriptor's path is always short.
_MAX_PATH_BYTES = 100
_READ_BYTES = 256 * 1024


class UnixTunnelSockets:
    """Implements the port `TunnelSockets` in one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / DIRECTORY

    @asynccontextmanager
    async def open(self, tunnel: ReverseTunnel, send: Send) -> AsyncIterator[UnixTunnelSocket]:
        path = self._directory / _file_name(tunnel)
        try:
            listening = await asyncio.to_thread(_listen_at, path)
        except OSError as failure:
            raise Unavailable(
                f"no tunnel can be opened here: {failure.strerror}",
                hint="the data directory of the server must be writable, and its path short",
            ) from None
        tunnel_socket = UnixTunnelSocket(path, send)
        server = await asyncio.start_unix_server(
            tunnel_socket.serve, sock=listening, limit=_READ_BYTES
        )
        try:
            yield tunnel_socket
        finally:
            server.close()
            tunnel_socket.close()


class UnixTunnelSocket:
    """Implements the port `TunnelSocket`. It serves one request on each connection."""

    def __init__(self, path: Path, send: Send) -> None:
        self._path = path
        self._inode = path.stat().st_ino
        self._send = send
        self._serving: set[asyncio.Task[None]] = set()

    def is_current(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Take no more requests."""
        if self.is_current():
            with suppress(OSError):
                self._path.unlink()
        for task in self._serving:
            task.cancel()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the one request of a connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_request(reader)
            try:
                frame = response_frame(await self._send(request))
            except RequestError as error:
                frame = response_frame(error)
            writer.write(frame)
            await writer.drain()
        except (OSError, BadFrame):
            pass  # the other end waits for no response any more
        finally:
            writer.close()


class UnixTunnelClient:
    """Implements the port `TunnelClient`, over the sockets of one data directory."""

    def __init__(self, data_dir: Path, user_agent: str) -> None:
        self._directory = data_dir / DIRECTORY
        self._agent = ("User-Agent", user_agent)

    async def send(self, tunnel: ReverseTunnel, request: OutboundRequest) -> Response:
        has_agent = any(name.lower() == "user-agent" for name, _ in request.headers)
        headers = request.headers if has_agent else (*request.headers, self._agent)
        whole = OutboundRequest(request.url, headers, request.body, request.timeout)
        try:
            async with asyncio.timeout(request.timeout):
                return await self._exchange(tunnel, whole)
        except TimeoutError:
            reason = f"time-out after {request.timeout:.3g} s while waiting for the listener"
            raise _unreachable(Stage.ANSWER, reason) from None

    async def _exchange(self, tunnel: ReverseTunnel, request: OutboundRequest) -> Response:
        try:
            with _socket_address(self._directory / _file_name(tunnel)) as address:
                reader, writer = await asyncio.open_unix_connection(address, limit=_READ_BYTES)
        except OSError:
            reason = f"nobody listens to the tunnel {tunnel.name}"
            raise _unreachable(Stage.CONNECT, reason) from None
        try:
            writer.write(request_frame(request))
            await writer.drain()
            return await read_response(reader)
        except (OSError, BadFrame):
            raise _unreachable(Stage.ANSWER, "the listener of the tunnel went away") from None
        finally:
            writer.close()


def _file_name(tunnel: ReverseTunnel) -> str:
    return f"{tunnel.instance}.{tunnel.name}"


def _listen_at(path: Path) -> socket.socket:
    """Give a socket that listens at `path`; it replaces an older one atomically."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _socket_address(fresh) as address:
            listening.bind(address)
        fresh.chmod(0o600)
        listening.listen()
        fresh.replace(path)
    except BaseException:
        listening.close()
        raise
    return listening


@contextmanager
def _socket_address(path: Path) -> Iterator[str]:
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
