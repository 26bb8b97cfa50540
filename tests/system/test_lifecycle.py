"""Starting and stopping: nothing is cut off, nothing stays claimed, the same directory works again."""

from __future__ import annotations

import asyncio
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from outrider.testing.receiver import Answer, Receiver
from system.disk import claims_and_leases, lock_file, stored_states, wait_for_lock_waiter
from system.ledger import (
    calls_by_delivery,
    event_of,
    outcomes,
    prepare_publisher,
    states_of,
    tried_again,
)
from system.processes import ENVOY, WORKER, children_running

SLOW = Answer(delay=0.1)
STOP_SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", STOP_SIGNALS, ids=lambda value: value.name)
async def test_what_runs_is_finished_and_the_rest_goes_back(launch, data_dir, number):
    """
    A deploy is no incident: no receiver sees anything twice, and no attempt counts as LOST.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(2000)
        await receiver.wait_for(len(receiver.calls) + 100)
        code = await server.stop(number)
        before, left = len(receiver.calls), stored_states(data_dir)
        still_claimed = claims_and_leases(data_dir)
        following = await launch().ready()
        await following.api.settled()
        deliveries = await following.api.deliveries()

    assert 0 == code
    assert {"DELIVERED": before, "PENDING": 2000 - before} == left
    assert [] == still_claimed
    assert {"DELIVERED": 2000} == states_of(deliveries)
    assert [] == tried_again(deliveries)
    assert {1} == set(calls_by_delivery(receiver.calls).values())
    assert publisher.answered == {event_of(call) for call in receiver.calls}


async def test_a_call_in_flight_is_answered_before_the_server_ends(launch, receiver):
    """
    A publisher who gets no answer does not know whether to publish again.
    """
    server = await launch().ready()
    publisher = await prepare_publisher(server.api, receiver)
    [envoy] = children_running(server.pid, ENVOY)
    write_lock = server.data_dir / "outrider.db.lock"
    with lock_file(write_lock):
        publishing = asyncio.create_task(publisher.publish(1))
        await wait_for_lock_waiter(envoy, write_lock, within=5)
        server.send(signal.SIGTERM)
        await server.closed(within=5)
        assert not publishing.done()
    await publishing
    code = await server.ended()

    assert 0 == code
    assert {"event-0"} == publisher.answered


async def test_calls_that_never_end_do_not_hold_up_the_end(launch):
    """
    Every balancer that speaks gRPC keeps a Watch open, and every rollout would wait for it.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_TIMEOUT": "30"}).ready()
    host, port = server.address
    async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        asking = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await asking.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        seen = [(await watching.read()).status]
        listed = (await asking.read()).list_services_response.service
        async with asyncio.timeout(10):
            code = await server.stop()
        seen.append((await watching.read()).status)
        ended = [await watching.code(), await asking.code()]

    assert 0 == code
    assert listed
    assert [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING] == (
        seen
    )
    assert [grpc.StatusCode.UNAVAILABLE] * 2 == ended


async def test_a_receiver_that_hangs_delays_the_end_only_so_long(launch):
    """
    The operator sets how long; then the attempt is recorded as LOST and made again.
    """
    silence = asyncio.Event()
    async with Receiver([Answer(hang_until=silence)]) as receiver:
        server = await launch(environ={"OUTRIDER_DRAIN_TIMEOUT": "0.3"}).ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(1)
        await receiver.wait_for(1)
        async with asyncio.timeout(5):
            code = await server.stop()
        following = await launch().ready()
        await following.api.settled()
        attempts = await outcomes(following.api, await following.api.deliveries())

    assert 0 == code
    assert [["LOST", "ACCEPTED"]] == list(attempts.values())
    assert 1 == len(calls_by_delivery(receiver.calls))


async def test_the_port_is_free_immediately(launch):
    """
    A restart on a fixed port must not have to wait for the kernel.
    """
    first = await launch().ready()
    await first.api.deliveries()
    await first.stop()
    second = await launch(port=first.address[1]).ready()
    await second.api.deliveries()

    assert first.url == second.url


async def test_targets_and_tokens_are_there_after_a_restart(launch):
    """
    Everything that counts is on disk, the admin token included.
    """
    first = await launch().ready()
    created = await first.api.create_target("audit", "http://127.0.0.1:1/")
    token = first.token
    await first.stop()
    second = await launch().ready()
    target = (await second.api.get(f"/v2/actions/targets/{created.id}"))["target"]

    assert ("audit", created.signing_key) == (target["name"], target["signingKey"])
    assert token == second.token


async def test_an_ordinary_life_leaves_no_warning_in_the_log(launch, receiver):
    """
    Warnings are for operators: a log that cries wolf is not read.
    """
    server = await launch("--log-level", "debug").ready()
    publisher = await prepare_publisher(server.api, receiver)
    await publisher.publish(10)
    await receiver.wait_for(10)
    await server.api.settled()
    await server.stop()

    assert [] == [line for line in server.log if line["level"] not in {"debug", "info"}]
    assert server.logged.lines == [line for line in server.logged.lines if line.startswith("{")]


async def test_each_worker_that_was_asked_for_delivers(launch):
    """
    One process uses one core: the second worker is there for the second core.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        few = {"OUTRIDER_WORKER_CONCURRENCY": "8"}
        server = await launch("--workers", "2", environ=few).ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(100)
        await server.api.settled()
        workers = children_running(server.pid, WORKER)

    assert 2 == len(workers)
    assert 100 == len(receiver.calls)
    assert 8 < len({call.connection for call in receiver.calls}) <= 16
