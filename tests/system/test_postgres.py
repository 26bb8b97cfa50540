"""Several nodes on one PostgreSQL: none of them is special, and none is missed."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from contextlib import asynccontextmanager, closing

import psycopg
import pytest

from outrider.testing.receiver import Answer, Receiver
from system.api import Api
from system.ledger import calls_by_delivery, event_of, prepare_publisher, states_of, unsigned

EVENTS = 2000
SLOW = Answer(delay=0.05)
TOKEN = "otr_of_all_nodes"
MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def shared(postgres_url):
    """What all nodes are given."""
    return {
        "OUTRIDER_DATABASE_URL": postgres_url,
        "OUTRIDER_MASTER_KEY": MASTER_KEY,
        "OUTRIDER_ADMIN_TOKEN": TOKEN,
    }


@pytest.fixture
def node(launch, tmp_path, shared):
    """Start a node with a separate data directory."""
    return lambda name: launch(data_dir=tmp_path / name, environ=shared)


def api_of(server):
    """What its owner can do there: all nodes have one token."""
    return Api(server.url, TOKEN)


@asynccontextmanager
async def worker(directory, environ):
    """A worker without a server; it is asked to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "outrider", "worker", "--dev", "--data-dir", str(directory)),
        env={
            **{name: value for name, value in os.environ.items() if "OUTRIDER_" not in name},
            **environ,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await asyncio.wait_for(process.stdout.readline(), 20)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 30)


async def routed(publisher):
    """Publish until an event has a delivery: another node set the execution a moment ago."""
    for number in range(100):
        probe = f"probe-{number}"
        await publisher.api.publish(publisher.event_type, [probe])
        if await publisher.api.deliveries():
            publisher.answered.add(probe)
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the other node never got the execution")


async def test_a_node_killed_amid_2000_deliveries_is_replaced_by_the_others(
    node, shared, tmp_path, postgres_url
):
    """
    Published on one node, managed on the other, delivered by any worker: all of it arrives.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        # Together: the schema, the first keys and the default instance are made once.
        first, second = node("first"), node("second")
        await asyncio.gather(first.ready(), second.ready())
        publisher = await prepare_publisher(api_of(second), receiver)
        publisher.api = api_of(first)
        async with worker(tmp_path / "nothing", shared) as by_itself:
            await routed(publisher)
            await publisher.publish(EVENTS)
            await receiver.wait_for(300)
            first.kill()
            publisher.api = api_of(second)
            known = await publisher.publish_again()
            await publisher.publish(100)
            await api_of(second).settled(within=60)
            again = await node("first").ready()
            deliveries = await api_of(again).deliveries()
        owners = column(postgres_url, "SELECT count(*) FROM deliveries WHERE owner IS NOT NULL")
        keys = column(postgres_url, "SELECT count(*) FROM web_keys WHERE state = 2")

    assert 0 == by_itself.returncode
    assert all(known.values())
    assert not (tmp_path / "nothing").exists()
    assert {"DELIVERED": len(publisher.answered)} == states_of(deliveries)
    assert publisher.answered == {delivery["eventId"] for delivery in deliveries}
    assert publisher.answered == {event_of(call) for call in receiver.calls}
    assert {delivery["id"] for delivery in deliveries} == set(calls_by_delivery(receiver.calls))
    assert [] == unsigned(receiver.calls)
    assert (0, 1) == (owners, keys)


async def test_a_node_with_another_master_key_is_refused(node, launch, tmp_path, shared):
    """
    It could open nothing that the others sealed, and they nothing of its.
    """
    await node("first").ready()
    other = base64.b64encode(bytes(32)).decode()
    wrong = launch(data_dir=tmp_path / "w", environ={**shared, "OUTRIDER_MASTER_KEY": other})
    none = launch(data_dir=tmp_path / "n", environ={**shared, "OUTRIDER_MASTER_KEY": ""})

    assert (1, 1) == (await wrong.ended(), await none.ended())
    assert "give the key that this data was made with" in wrong.logged.text
    assert "was sealed with a master key that this node has not" in none.logged.text
    assert not (tmp_path / "n" / "master.key").exists()


async def test_a_worker_that_is_the_first_node_asks_for_a_key(tmp_path, shared):
    """
    It has no data directory where it could make one; that a file is missing does not tell what to do.
    """
    async with worker(tmp_path / "none", {**shared, "OUTRIDER_MASTER_KEY": ""}) as process:
        errors = (await process.stderr.read()).decode()

    assert 1 == process.returncode
    assert "none/master.key cannot be read or made: No such file or directory" in errors
    assert "give the key in OUTRIDER_MASTER_KEY" in errors


async def test_a_database_that_is_not_there_is_named_without_its_password(launch, tmp_path):
    """
    The line ends up in a log that many can read.
    """
    url = "postgresql://me:hunter2@127.0.0.1:1/outrider?connect_timeout=1"
    server = launch(environ={"OUTRIDER_DATABASE_URL": url, "OUTRIDER_MASTER_KEY": MASTER_KEY})
    line = await server.output.line(lambda text: "waiting for" in text, within=20)

    assert "postgresql://127.0.0.1:1/outrider" in line
    assert "Connection refused" in line
    assert "hunter2" not in server.output.text + server.logged.text


def column(url, query):
    """One number, past everything of ours."""
    with closing(psycopg.connect(url)) as connection:
        return connection.execute(query).fetchone()[0]
