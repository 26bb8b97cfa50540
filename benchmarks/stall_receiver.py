"""A receiver with the worst answers that are taken.

    python benchmarks/stall_receiver.py

prints its port on a separate line. `/N` answers with the N-th of `stall_answers`, accepted ones
first, and anything else with `{}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import uvloop
from sink import ANSWER, request_end
from stall_answers import Answer, accepted_answers, refused_answers


def rendered(answer: Answer) -> bytes:
    """A whole response."""
    _, fields, body = answer
    lines = [f"{name}: {value}" for name, value in fields]
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *lines, "\r\n"]).encode("latin-1") + body


ANSWERS = [rendered(answer) for answer in (*accepted_answers(), *refused_answers())]


class Receiver(asyncio.Protocol):
    """Answers every request of one connection by its path."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.rest = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while (end := request_end(self.rest, 0)) is not None:
            number = self.rest.split(b" ", 2)[1].removeprefix(b"/")
            self.transport.write(ANSWERS[int(number)] if number.isdigit() else ANSWER)
            del self.rest[:end]


async def serve() -> None:
    """Serve on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    # The process that times others goes first.
    os.nice(10)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
