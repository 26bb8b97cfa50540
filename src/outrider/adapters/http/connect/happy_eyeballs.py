"""Connecting sockets to judged addresses."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence

from outrider.domain.net.endpoint import Address


async def first_connected(
    addresses: Sequence[Address], port: int, next_after: float
) -> socket.socket:
    """Give the first socket that connects; an address that dawdles lets the next one try too."""
    if len(addresses) == 1:
        return await _connected(addresses[0], port)
    tries: list[asyncio.Task[socket.socket]] = []
    try:
        return await _race(tries, addresses, port, next_after)
    finally:
        for attempt in tries:
            _drop(attempt)


async def _race(
    tries: list[asyncio.Task[socket.socket]],
    addresses: Sequence[Address],
    port: int,
    next_after: float,
) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: BaseException | None = None
    waiting = list(addresses)
    while waiting or tries:
        if waiting:
            tries.append(loop.create_task(_connected(waiting.pop(0), port)))
        done, _ = await asyncio.wait(
            tries,
            timeout=next_after if waiting else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for attempt in done:
            tries.remove(attempt)
            failure = failure or attempt.exception()
            if attempt.exception() is None:
                return attempt.result()
    raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancel() and attempt.exception() is None:
        attempt.result().close()


async def _connected(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


def plainly(failure: OSError) -> str:
    """The system's own words; what event loops add to them repeats the address."""
    return os.strerror(failure.errno).lower() if failure.errno else "connection failed"
