"""Connect sockets to checked addresses, several at a time (RFC 8305)."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence

from outrider.domain.net.endpoint import Address


async def connect_first(
    addresses: Sequence[Address], port: int, next_after: float
) -> socket.socket:
    """Give the first socket that connects. Raise OSError when none does.

    An address that takes longer than `next_after` seconds lets the next one try as well.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0], port)
    attempts: list[asyncio.Task[socket.socket]] = []
    try:
        return await _race(attempts, addresses, port, next_after)
    finally:
        for attempt in attempts:
            _drop(attempt)


async def _race(
    attempts: list[asyncio.Task[socket.socket]],
    addresses: Sequence[Address],
    port: int,
    next_after: float,
) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: BaseException | None = None
    untried = list(addresses)
    while untried or attempts:
        if untried:
            attempts.append(loop.create_task(_connect(untried.pop(0), port)))
        done, _ = await asyncio.wait(
            attempts,
            timeout=next_after if untried else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for attempt in done:
            attempts.remove(attempt)
            failure = failure or attempt.exception()
            if attempt.exception() is None:
                return attempt.result()
    raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancel() and attempt.exception() is None:
        attempt.result().close()


async def _connect(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


def describe_failure(failure: OSError) -> str:
    """The system's own words; what event loops add to them repeats the address."""
    return os.strerror(failure.errno).lower() if failure.errno else "connection failed"
