"""Tunnel sockets: how calls get from one process of a data directory to the listener in another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.adapters.tunnel.unix_socket import UnixTunnelClient, UnixTunnelSockets
from outrider.domain.access.permission import Actor, Role
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.ids import AccountId, InstanceId
from outrider.domain.outcome import Outcome
from outrider.domain.targets.tunnel import ReverseTunnel, is_tunnel_url, tunnel_of
from outrider.errors import FailedPrecondition, InvalidRequest, NotFound, Unavailable
from outrider.runtime import Runtime
from outrider.usecases.targets.tunnels import MAX_PENDING, TunnelRegistry, listener_error

OWNER = Actor(InstanceId("7"), AccountId("1"), frozenset({Role.IAM_OWNER}))
STRANGER = Actor(InstanceId("8"), AccountId("2"), frozenset({Role.IAM_OWNER}))
ADA = ReverseTunnel(InstanceId("7"), "ada")
CALL = OutboundRequest(ADA.endpoint, (("X-Is", "é"),), b"\x00body", 5.0)


@pytest.fixture
def tunnels(tmp_path: Path) -> TunnelRegistry:
    return TunnelRegistry(UnixTunnelSockets(tmp_path), Runtime())


@pytest.fixture
def client(tmp_path: Path) -> UnixTunnelClient:
    return UnixTunnelClient(tmp_path, "outrider/test")


@asynccontextmanager
async def asking(client: UnixTunnelClient, call: OutboundRequest = CALL):
    """A call in progress."""
    task = asyncio.create_task(client.send(ADA, call))
    try:
        yield task
    finally:
        task.cancel()


async def test_a_call_and_its_answer_come_through_as_they_are(tunnels, client):
    """
    The body is signed: a byte that changed would be a refusal.
    """
    async with tunnels.listen(OWNER, "ada") as session, asking(client) as asked:
        pending = await session.next_request(5)
        tunnels.answer(OWNER, "ada", pending.id, Response(203, (("x-at", "ü"),), b"\xff"))
        response = await asked

    assert Response(203, (("x-at", "ü"),), b"\xff") == response
    assert (*CALL.headers, ("User-Agent", "outrider/test")) == pending.request.headers
    assert (CALL.url, CALL.body, CALL.timeout) == (
        pending.request.url,
        pending.request.body,
        pending.request.timeout,
    )


async def test_without_a_listener_a_call_is_unreachable(tunnels, client):
    """
    A delivery is tried again then; before, during and after a tunnel it is the same.
    """
    for _ in range(2):
        with pytest.raises(RequestError) as failed:
            await client.send(ADA, CALL)
        assert (Outcome.UNREACHABLE, Stage.CONNECT) == (
            failed.value.outcome,
            failed.value.stage,
        )
        async with tunnels.listen(OWNER, "ada"):
            pass


async def test_what_a_killed_process_left_is_no_listener(tmp_path, tunnels, client):
    """
    Its socket's file is still there; the next listener takes its place.
    """
    (tmp_path / "tunnels").mkdir()
    (tmp_path / "tunnels" / "7.ada").touch()
    with pytest.raises(RequestError, match="no listener is connected"):
        await client.send(ADA, CALL)

    async with tunnels.listen(OWNER, "ada") as session, asking(client):
        assert await session.next_request(5) is not None


async def test_a_listener_that_leaves_fails_the_calls_that_wait(tunnels, client):
    """
    No call waits for its whole time-out when the answer cannot come.
    """
    async with asking(client) as early:
        with pytest.raises(RequestError):
            await early
    async with tunnels.listen(OWNER, "ada") as session:
        asked = asyncio.create_task(client.send(ADA, CALL))
        await session.next_request(5)
    with pytest.raises(RequestError, match="went away"):
        await asked


async def test_the_time_out_of_the_target_holds(tunnels, client):
    """
    A tunnel takes no longer than any other endpoint may; an answer after it is told so.
    """
    call = OutboundRequest(CALL.url, (), b"", 0.05)
    async with tunnels.listen(OWNER, "ada") as session, asking(client, call) as asked:
        pending = await session.next_request(5)
        with pytest.raises(RequestError, match=r"time-out after 0\.05 s"):
            await asked
        await asyncio.wait([asyncio.ensure_future(pending.response)], timeout=5)
        with pytest.raises(NotFound):
            tunnels.answer(OWNER, "ada", pending.id, Response(200, (), b""))


async def test_what_the_listener_could_not_reach_is_unreachable(tunnels, client):
    """
    The developer's program is not running: the delivery log shows why.
    """
    async with tunnels.listen(OWNER, "ada") as session, asking(client) as asked:
        pending = await session.next_request(5)
        tunnels.answer(OWNER, "ada", pending.id, listener_error("connection refused"))
        with pytest.raises(RequestError, match="the listener says: connection refused") as failed:
            await asked

    assert Outcome.UNREACHABLE is failed.value.outcome


async def test_the_newest_listener_gets_the_calls(tmp_path, tunnels, client):
    """
    In this process and in another one on the same data.
    """
    others = TunnelRegistry(UnixTunnelSockets(tmp_path), Runtime())
    async with tunnels.listen(OWNER, "ada") as first, tunnels.listen(OWNER, "ada") as second:
        with pytest.raises(FailedPrecondition):
            await first.next_request(5)
        async with others.listen(OWNER, "ada") as third, asking(client):
            assert await third.next_request(5) is not None
            with pytest.raises(FailedPrecondition):
                await second.next_request(0.01)


async def test_instances_have_separate_tunnels(tunnels, client):
    """
    The same name in another instance is another tunnel, and its owner cannot answer here.
    """
    async with (
        tunnels.listen(STRANGER, "ada") as strangers,
        tunnels.listen(OWNER, "ada") as session,
        asking(client),
    ):
        pending = await session.next_request(5)
        with pytest.raises(NotFound):
            tunnels.answer(STRANGER, "ada", pending.id, Response(200, (), b""))
        assert await strangers.next_request(0.01) is None


async def test_a_listener_that_takes_nothing_gathers_no_calls_without_end(tunnels):
    """
    Calls wait in the memory of the API.
    """
    async with tunnels.listen(OWNER, "ada") as session:
        asked = [asyncio.create_task(session.send(CALL)) for _ in range(MAX_PENDING)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="no more calls"):
            await session.send(CALL)
        for task in asked:
            task.cancel()


@pytest.mark.parametrize("name", ["", "Ada", "a.b", "../a", "-a", "a" * 41, "a\n"])
async def test_a_name_that_is_no_label_is_refused(tunnels, name):
    """
    It becomes a part of a host name, and of a file name.
    """
    with pytest.raises(InvalidRequest):
        async with tunnels.listen(OWNER, name):
            raise AssertionError("it was opened")


async def test_a_directory_that_cannot_hold_a_socket_is_reported(tmp_path):
    """
    A file system that knows no sockets, or a directory that is none.
    """
    (tmp_path / "tunnels").write_text("a file")
    with pytest.raises(Unavailable, match="no tunnel can be opened here"):
        async with TunnelRegistry(UnixTunnelSockets(tmp_path), Runtime()).listen(OWNER, "ada"):
            raise AssertionError("it was opened")


async def test_a_deep_data_directory_has_tunnels_too(tmp_path):
    """
    The address of a socket has at most 107 bytes, and a path has no such bound.
    """
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with (
        TunnelRegistry(UnixTunnelSockets(deep), Runtime()).listen(OWNER, "ada") as session,
        asking(UnixTunnelClient(deep, "outrider/test")),
    ):
        assert await session.next_request(5) is not None


@pytest.mark.parametrize(
    ("url", "tunnel", "pretends"),
    [
        (ADA.endpoint, ADA, True),
        ("https://ADA.7.Tunnel.Outrider.Internal./x?y", ADA, True),
        ("http://7.tunnel.outrider.internal/", None, True),
        ("http://a.b.7.tunnel.outrider.internal/", None, True),
        ("http://a_b.7.tunnel.outrider.internal/", None, True),
        ("http://tunnel.outrider.internal/", None, True),
        ("http://ada.7.tunnel.outrider.internal.example.com/", None, False),
        ("http://example.com/ada.7.tunnel.outrider.internal", None, False),
        ("http://xtunnel.outrider.internal/", None, False),
    ],
)
def test_an_endpoint_says_whether_it_leads_into_a_tunnel(url, tunnel, pretends):
    """
    What only looks like one is called over HTTP, past the address guard.
    """
    assert (tunnel, pretends) == (tunnel_of(url), is_tunnel_url(url))
