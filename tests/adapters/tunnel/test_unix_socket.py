"""Doors: how calls get from one process of a data directory to the listener in another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.adapters.tunnel.unix_socket import TunnelClient, UnixTunnelSockets
from outrider.domain.access.permission import Actor, Role
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.ids import AccountId, InstanceId
from outrider.domain.outcome import Outcome
from outrider.domain.targets.tunnel import ReverseTunnel, is_tunnel_url, tunnel_of
from outrider.errors import FailedPrecondition, InvalidRequest, NotFound, Unavailable
from outrider.runtime import Runtime
from outrider.usecases.targets.tunnels import MAX_CALLS, Tunnels, unanswered

OWNER = Actor(InstanceId("7"), AccountId("1"), frozenset({Role.IAM_OWNER}))
STRANGER = Actor(InstanceId("8"), AccountId("2"), frozenset({Role.IAM_OWNER}))
ADA = ReverseTunnel(InstanceId("7"), "ada")
CALL = OutboundRequest(ADA.endpoint, (("X-Is", "é"),), b"\x00body", 5.0)


@pytest.fixture
def tunnels(tmp_path: Path) -> Tunnels:
    return Tunnels(UnixTunnelSockets(tmp_path), Runtime())


@pytest.fixture
def caller(tmp_path: Path) -> TunnelClient:
    return TunnelClient(tmp_path, "outrider/test")


@asynccontextmanager
async def asking(caller: TunnelClient, call: OutboundRequest = CALL):
    """A call under way."""
    task = asyncio.create_task(caller.post(ADA, call))
    try:
        yield task
    finally:
        task.cancel()


async def test_a_call_and_its_answer_come_through_as_they_are(tunnels, caller):
    """
    The body is signed: a byte that changed would be a refusal.
    """
    async with tunnels.listen(OWNER, "ada") as listening, asking(caller) as asked:
        waiting = await listening.next_call(5)
        tunnels.answer(OWNER, "ada", waiting.id, Response(203, (("x-at", "ü"),), b"\xff"))
        answer = await asked

    assert Response(203, (("x-at", "ü"),), b"\xff") == answer
    assert (*CALL.headers, ("User-Agent", "outrider/test")) == waiting.call.headers
    assert (CALL.url, CALL.body, CALL.timeout) == (
        waiting.call.url,
        waiting.call.body,
        waiting.call.timeout,
    )


async def test_nobody_listens(tunnels, caller):
    """
    A delivery is tried again then; before, during and after a tunnel it is the same.
    """
    for _ in range(2):
        with pytest.raises(RequestError) as failed:
            await caller.post(ADA, CALL)
        assert (Outcome.UNREACHABLE, Stage.CONNECT) == (
            failed.value.outcome,
            failed.value.stage,
        )
        async with tunnels.listen(OWNER, "ada"):
            pass


async def test_what_a_killed_process_left_is_nobody(tmp_path, tunnels, caller):
    """
    Its socket's file is still there; the next listener takes its place.
    """
    (tmp_path / "tunnels").mkdir()
    (tmp_path / "tunnels" / "7.ada").touch()
    with pytest.raises(RequestError, match="nobody listens"):
        await caller.post(ADA, CALL)

    async with tunnels.listen(OWNER, "ada") as listening, asking(caller):
        assert await listening.next_call(5) is not None


async def test_a_listener_that_leaves_fails_the_calls_that_wait(tunnels, caller):
    """
    Nobody waits for the whole time-out of an answer that cannot come.
    """
    async with asking(caller) as early:
        with pytest.raises(RequestError):
            await early
    async with tunnels.listen(OWNER, "ada") as listening:
        asked = asyncio.create_task(caller.post(ADA, CALL))
        await listening.next_call(5)
    with pytest.raises(RequestError, match="went away"):
        await asked


async def test_the_time_out_of_the_target_holds(tunnels, caller):
    """
    A tunnel takes no longer than any other endpoint may; an answer after it is told so.
    """
    call = OutboundRequest(CALL.url, (), b"", 0.05)
    async with tunnels.listen(OWNER, "ada") as listening, asking(caller, call) as asked:
        waiting = await listening.next_call(5)
        with pytest.raises(RequestError, match=r"time-out after 0\.05 s"):
            await asked
        await asyncio.wait([asyncio.ensure_future(waiting.answered)], timeout=5)
        with pytest.raises(NotFound):
            tunnels.answer(OWNER, "ada", waiting.id, Response(200, (), b""))


async def test_what_the_listener_could_not_reach_is_unreachable(tunnels, caller):
    """
    The developer's program is not running: the delivery log shows why.
    """
    async with tunnels.listen(OWNER, "ada") as listening, asking(caller) as asked:
        waiting = await listening.next_call(5)
        tunnels.answer(OWNER, "ada", waiting.id, unanswered("connection refused"))
        with pytest.raises(RequestError, match="the listener says: connection refused") as failed:
            await asked

    assert Outcome.UNREACHABLE is failed.value.outcome


async def test_the_newest_listener_gets_the_calls(tmp_path, tunnels, caller):
    """
    In this process and in another one on the same data.
    """
    others = Tunnels(UnixTunnelSockets(tmp_path), Runtime())
    async with tunnels.listen(OWNER, "ada") as first, tunnels.listen(OWNER, "ada") as second:
        with pytest.raises(FailedPrecondition):
            await first.next_call(5)
        async with others.listen(OWNER, "ada") as third, asking(caller):
            assert await third.next_call(5) is not None
            with pytest.raises(FailedPrecondition):
                await second.next_call(0.01)


async def test_instances_have_tunnels_of_their_own(tunnels, caller):
    """
    The same name in another instance is another tunnel, and its owner cannot answer here.
    """
    async with (
        tunnels.listen(STRANGER, "ada") as strangers,
        tunnels.listen(OWNER, "ada") as listening,
        asking(caller),
    ):
        waiting = await listening.next_call(5)
        with pytest.raises(NotFound):
            tunnels.answer(STRANGER, "ada", waiting.id, Response(200, (), b""))
        assert await strangers.next_call(0.01) is None


async def test_a_listener_that_takes_nothing_gathers_no_calls_without_end(tunnels):
    """
    Calls wait in the memory of the API.
    """
    async with tunnels.listen(OWNER, "ada") as listening:
        asked = [asyncio.create_task(listening.post(CALL)) for _ in range(MAX_CALLS)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="no more calls"):
            await listening.post(CALL)
        for each in asked:
            each.cancel()


@pytest.mark.parametrize("name", ["", "Ada", "a.b", "../a", "-a", "a" * 41, "a\n"])
async def test_a_name_that_is_no_label_is_refused(tunnels, name):
    """
    It becomes a part of a host name, and of a file name.
    """
    with pytest.raises(InvalidRequest):
        async with tunnels.listen(OWNER, name):
            raise AssertionError("it was opened")


async def test_a_place_without_room_for_a_socket_says_so(tmp_path):
    """
    A file system that knows no sockets, or a directory that is none.
    """
    (tmp_path / "tunnels").write_text("a file")
    with pytest.raises(Unavailable, match="no tunnel can be opened here"):
        async with Tunnels(UnixTunnelSockets(tmp_path), Runtime()).listen(OWNER, "ada"):
            raise AssertionError("it was opened")


async def test_a_deep_data_directory_has_doors_too(tmp_path):
    """
    The address of a socket has room for 107 bytes, a path has none such bound.
    """
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with (
        Tunnels(UnixTunnelSockets(deep), Runtime()).listen(OWNER, "ada") as listening,
        asking(TunnelClient(deep, "outrider/test")),
    ):
        assert await listening.next_call(5) is not None


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
    What only looks like one goes its usual way, past the guard.
    """
    assert (tunnel, pretends) == (tunnel_of(url), is_tunnel_url(url))
