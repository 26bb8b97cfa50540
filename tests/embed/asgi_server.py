"""An ASGI application behind uvicorn, on a separate port, and a client that reads every byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def serve(app: Any, *, lifespan: str = "on") -> AsyncIterator[int]:
    """The port of a real server; it ends with the block."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan=lifespan, log_config=None, ws="none"
    )
    server = ListeningServer(config)
    serving = asyncio.create_task(server.serve(sockets=None))
    waiting = asyncio.create_task(server.listening.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        raise RuntimeError("the server did not start")
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


class ListeningServer(uvicorn.Server):
    """A server that sets an event when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self.listening.set()


async def call(
    port: int,
    method: str,
    path: str,
    body: bytes | dict[str, Any] = b"",
    *,
    content_type: str = "application/json",
    headers: str = "",
) -> Reply:
    """One request on a separate connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(method, path, body, content_type=content_type, headers=headers))
        return parse(await reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


def request(
    method: str,
    path: str,
    body: bytes | dict[str, Any] = b"",
    *,
    content_type: str = "application/json",
    headers: str = "",
) -> bytes:
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n"
        f"{kind}Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def parse(response: bytes) -> Reply:
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        body = dechunk(body)
    return Reply(int(first.split(" ")[1]), headers, body)


def dechunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :]
    return whole
