"""A receiver that costs as little as possible: one canned answer for every whole request.

    python benchmarks/sink.py --port 0

prints its port on a separate line, and runs until it is stopped. It counts `Content-Length`
and looks at nothing else, so what a benchmark measures against it is the sender.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
MARK = b"\r\nContent-Length: "


class Sink(asyncio.Protocol):
    """Answers every request of one connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        start = 0
        while (after := request_end(data, start)) is not None:
            self.transport.write(ANSWER)
            start = after
        self.rest = data[start:]


def request_end(data: bytes, start: int) -> int | None:
    """Give where the request that begins at `start` ends; None while it is not whole."""
    head = data.find(b"\r\n\r\n", start)
    if head < 0:
        return None
    mark = data.find(MARK, start, head + 2)
    digits = data[mark + len(MARK) : data.find(b"\r\n", mark + 2)] if mark >= 0 else b"0"
    end = head + 4 + int(digits)
    return end if end <= len(data) else None


async def serve(port: int) -> None:
    """Serve on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(arguments.parse_args().port))
