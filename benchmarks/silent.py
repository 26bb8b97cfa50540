"""A receiver that takes every connection and never answers: `python benchmarks/silent.py`.

It prints its port on a separate line, and runs until it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib


async def serve() -> None:
    """Serve on loopback until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
