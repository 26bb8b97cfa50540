"""The listener's side of a tunnel, when the server is not what it should be."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from outrider.cli.receive.forwarder import Forwarder
from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.errors import CommandError, ExitCode


@asynccontextmanager
async def silent_server():
    """It accepts connections and sends nothing; the list grows with each."""
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1")
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()
        for connection in connections:
            connection.close()


def forwarder(port: int, notes: asyncio.Queue[str]) -> Forwarder:
    async def nothing(*_) -> None:
        raise AssertionError("nothing was opened")

    return Forwarder(
        server=RemoteServer(f"http://127.0.0.1:{port}", "token"),
        name="ada",
        url="http://127.0.0.1:9/",
        client=None,
        on_open=nothing,
        on_answered=nothing,
        say=notes.put_nowait,
        silent_s=0.1,
    )


async def test_a_silent_server_is_left_for_a_new_connection():
    """
    After the laptop slept, its connection looks alive and is not.
    """
    notes: asyncio.Queue[str] = asyncio.Queue()
    async with silent_server() as (port, connections):
        running = asyncio.create_task(forwarder(port, notes).run())
        first = await asyncio.wait_for(notes.get(), 20)
        second = await asyncio.wait_for(notes.get(), 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert "connection lost (the server is silent); trying again in 0.25 s" == first
    assert "trying again in 0.5 s" in second
    assert len(connections) >= 2


async def test_a_server_that_is_not_there_at_the_start_is_an_error():
    """
    It is a slip in --url, mostly; waiting for it would hide that.
    """
    async with silent_server() as (port, _):
        pass
    with pytest.raises(CommandError) as error:
        await forwarder(port, asyncio.Queue()).run()

    assert ExitCode.UNREACHABLE is error.value.code
