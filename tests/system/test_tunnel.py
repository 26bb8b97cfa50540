"""`outrider listen --forward`: calls of a remote server are answered from this machine."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterator

import pytest

from cli.conftest import RunningCommand, run_process
from outrider.testing.receiver import Answer, Receiver
from system.api import ApiError
from system.server import Server

METHOD = "/zitadel.session.v2.SessionService/ListSessions"
SHORT_WAITS = {"policy": {"retry": {"waits": ["0.3s"] * 40}}}


@pytest.fixture
def listen(started_listeners):
    """Starts a listener on a server and gives it with its target, once it is connected."""

    async def start(server: Server, url: str, *options: str) -> tuple[RunningCommand, str, str]:
        arguments = ("listen", "--url", server.url, "--forward", url, *options)
        running = RunningCommand(*arguments, OUTRIDER_TOKEN=server.token)
        started_listeners.append(running)
        line = await asyncio.to_thread(running.line_with, "signing key")
        _, target, _, _, signing_key = line.split()
        return running, target.rstrip(","), signing_key

    return start


@pytest.fixture
def started_listeners() -> Iterator[list[RunningCommand]]:
    running: list[RunningCommand] = []
    yield running
    for listener in running:
        listener.kill()


async def intercept(server: Server) -> dict[str, object]:
    call = {"fullMethod": METHOD, "request": {"limit": 5}}
    return (await server.api.post("/v1/intercept/request", call))["request"]


async def bind(server: Server, target: str) -> None:
    """Events and requests go through the tunnel."""
    await server.api.set_execution("user.human.added", target)
    body = {"condition": {"request": {"method": METHOD}}, "targets": [target]}
    await server.api.post("/v2/actions/executions", body, method="PUT")
    await server.api.post(f"/v1/targets/{target}/policy", SHORT_WAITS, method="PUT")


async def test_events_and_interceptions_are_answered_from_a_laptop(server, receiver, listen):
    """
    A developer need not open a port to the internet for a new webhook.
    """
    listener, target, signing_key = await listen(server, receiver.url, "--name", "both")
    receiver.signing_keys = [signing_key]
    await bind(server, target)

    await server.api.publish("user.human.added", ["e1"])
    (event,) = await receiver.wait_for(1)
    await server.api.settled()
    delivery = (await server.api.deliveries(target_id=target))[0]
    unchanged = await intercept(server)

    assert event.verified is not None
    assert delivery["id"] == event.header("outrider-delivery")
    assert "DELIVERY_STATE_DELIVERED" == delivery["state"]
    assert {"limit": 5} == unchanged
    assert "answered 200" in listener.line_with("user.human.added  delivery")
    assert "answered 200" in listener.line_with(METHOD)
    assert 0 == listener.stop()
    with pytest.raises(ApiError, match="Execution failed"):
        await intercept(server)


async def test_what_the_laptop_answers_is_what_the_caller_gets(server, listen):
    """
    Status, body and the lack of both come through as they are.
    """
    port = unused_port()
    answers = [
        Answer(body=b'{"limit": 1}'),
        Answer(body=b'{"forwardedStatusCode": 403, "forwardedErrorMessage": "no"}'),
    ]
    async with Receiver(answers) as receiver:
        _, target, _ = await listen(server, receiver.url, "--name", "answers")
        await bind(server, target)

        changed = await intercept(server)
        with pytest.raises(ApiError) as interrupted:
            await intercept(server)
    _, target, _ = await listen(server, f"http://127.0.0.1:{port}/", "--name", "nothing")
    tested = await server.api.post(f"/v1/targets/{target}/test", {})

    assert {"limit": 1} == changed
    assert (403, "permission_denied") == (interrupted.value.status, interrupted.value.error["code"])
    assert "OUTCOME_UNREACHABLE" == tested["attempt"]["outcome"]
    assert "the listener says" in tested["attempt"]["error"]


async def test_a_killed_listener_costs_a_retry_and_no_event(server, receiver, listen):
    """
    Laptops are closed in the middle of a call.
    """
    hanging = asyncio.Event()
    async with Receiver([Answer(hang_until=hanging)]) as silent:
        listener, target, _ = await listen(server, silent.url, "--name", "killed")
        await bind(server, target)
        await server.api.publish("user.human.added", ["k1"])
        await silent.wait_for(1)
        listener.process.send_signal(signal.SIGKILL)
        again, same, signing_key = await listen(server, receiver.url, "--name", "killed")
        receiver.signing_keys = [signing_key]
        call, *_ = await receiver.wait_for(1)
        hanging.set()
    await server.api.settled()
    (delivery,) = await server.api.deliveries(target_id=target)
    (first, *_) = (await server.api.delivery(delivery["id"]))["attempts"]

    assert target == same
    assert call.verified is not None
    assert "DELIVERY_STATE_DELIVERED" == delivery["state"]
    assert ("OUTCOME_UNREACHABLE", "ANSWER") == (first["outcome"], first["stage"].upper())
    assert "answered 200" in again.line_with("attempt")


async def test_it_connects_again_when_the_server_comes_back(launch, receiver, listen):
    """
    The remote server is deployed while a developer works, who must not have to notice.
    """
    port = unused_port()
    server = await launch(port=port).ready()
    listener, target, _ = await listen(server, receiver.url)
    await bind(server, target)
    await server.api.publish("user.human.added", ["r1"])
    await receiver.wait_for(1)
    await server.stop()
    await asyncio.to_thread(listener.line_with, "connection lost")
    back = await launch(port=port).ready()
    await asyncio.to_thread(listener.line_with, "reconnected")

    await back.api.publish("user.human.added", ["r2"])
    calls = await receiver.wait_for(2)

    assert ["r1", "r2"] == [json.loads(call.body)["aggregateID"] for call in calls]


async def test_the_newest_listener_of_a_tunnel_has_it(server, receiver, listen):
    """
    After the laptop slept its old connection may still look alive; the calls must not alternate.
    """
    first, target, _ = await listen(server, receiver.url, "--name", "taken")
    _, same, _ = await listen(server, receiver.url, "--name", "taken")

    assert target == same
    assert "is in use by another listener" in first.line_with("Error: ")
    assert 1 == first.wait_ended()


async def test_only_owners_of_the_instance_get_its_calls(server, receiver, listen):
    """
    Who opens a tunnel reads what targets are sent.
    """
    _, target, _ = await listen(server, receiver.url, "--name", "mine")
    endpoint = (await server.api.get(f"/v2/actions/targets/{target}"))["target"]["endpoint"]
    created = await server.api.post(
        "/v1/tokens", {"account": "publisher", "roles": ["EVENT_PUBLISHER"]}
    )
    publisher = run_process(
        *("listen", "--url", server.url, "--token", created["token"]),
        *("--forward", receiver.url, "--name", "mine"),
    )
    stranger = run_process("listen", "--url", server.url, "--token", "x", "--forward", receiver.url)

    assert 4 == publisher.code, publisher.err
    assert 4 == stranger.code, stranger.err
    for foreign in ("http://mine.7.tunnel.outrider.internal/", "http://tunnel.outrider.internal/"):
        with pytest.raises(ApiError) as denied:
            await server.api.create_target("foreign", foreign)
        assert "DeniedURL" in denied.value.error["message"]
    assert endpoint.startswith("http://mine.")


async def test_a_target_that_leads_elsewhere_is_left_alone(server, receiver):
    """
    On a server that others use, trying something out must not redirect their calls.
    """
    other = await server.api.create_target("elsewhere", receiver.url)
    ended = run_process(
        *("listen", "--url", server.url, "--token", server.token),
        *("--forward", receiver.url, "--target", other.id),
    )

    assert 1 == ended.code
    assert receiver.url in ended.err


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]
