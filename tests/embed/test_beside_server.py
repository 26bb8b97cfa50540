"""An engine and a server with one data directory, on one machine."""

from __future__ import annotations

import pytest

from outrider.embed import Engine, Event, on_event
from outrider.runtime import IdGenerator
from outrider.server.data_directory import lock_for_engine
from outrider.testing.receiver import Receiver
from system.server import Server


@pytest.fixture
async def server(tmp_path):
    server = Server(tmp_path / "data")
    try:
        yield await server.ready()
    finally:
        server.kill()


async def test_an_engine_joins_the_server_that_holds_its_directory(tmp_path, server):
    """
    An application publishes without a network call, and operators see it in the server.
    """
    async with (
        Receiver() as receiver,
        Engine.open(data_dir=tmp_path / "data", dev=True, deliver=False) as engine,
    ):
        await engine.register_event_types(["order.created"])
        target = await engine.create_target("hook", receiver.url, type="webhook")
        await engine.set_execution(on_event("order.created"), [target])

        await engine.publish(Event(event_type="order.created"))

        await receiver.wait_for(1)
        assert "order.created" in (await engine.list_deliveries())[0].event_type
        # A second one on the same directory, in the same process or another.
        async with Engine.open(data_dir=tmp_path / "data", dev=True) as another:
            assert [target] == await another.list_targets()


def test_every_process_on_a_directory_makes_different_identifiers(tmp_path):
    """
    Two events of the same identifier would be one: the second would never be delivered.
    """

    def ignore(_text):
        return None

    with (
        lock_for_engine(tmp_path, ignore, beside_engines=False) as first,
        lock_for_engine(tmp_path, ignore, beside_engines=True) as second,
    ):
        with lock_for_engine(tmp_path, ignore, beside_engines=True) as third:
            nodes = [first.node, second.node, third.node]
        with lock_for_engine(tmp_path, ignore, beside_engines=True) as again:
            nodes.append(again.node)

    assert [0, 1, 2, 2] == nodes
    assert [True, False] == [first.is_exclusive, second.is_exclusive]
    made = {IdGenerator(node=node, now_ms=lambda: 1_600_000_000_000)() for node in nodes[:3]}
    assert 3 == len(made)
