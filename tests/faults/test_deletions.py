"""A process that is killed between the transactions of a deletion: another one finishes it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from outrider.bootstrap.app_context import AppContext, open_store
from outrider.config.loading import from_environ
from outrider.domain.access.instance import Instance
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import InstanceId, TargetId
from outrider.usecases.ports.access import DELETED_AT_ONCE
from outrider.usecases.ports.store import Unit
from outrider.usecases.ports.targets import CANCELLED_AT_ONCE
from outrider.worker.cleaner import Cleaner, RetentionPeriods
from support.builders import a_stored_event, a_target, an_event, planned
from support.runtime import NOW
from worker.harness import LogRecorder

BACKLOG = 4 * max(CANCELLED_AT_ONCE, DELETED_AT_ONCE)
SHOP = InstanceId("9001")
YEARS = timedelta(days=3650)
# It dies immediately when its second part is on the disk, and before it asks for the third.
VICTIM = """
import asyncio, os, signal, sys
from outrider.bootstrap.app_context import open_store, registered_catalogue
from outrider.config.loading import from_environ
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.usecases.access.authenticate import Authenticate
from outrider.usecases.access.instances import ManageInstances
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.targets.targets import ManageTargets
from support.builders import an_actor

class Mortal:
    def __init__(self, store):
        self.store, self.read, self.commits = store, store.read, 0

    async def write(self, work, **how):
        result = await self.store.write(work, **how)
        self.commits += 1
        if self.commits == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

async def main():
    async with open_store(from_environ(os.environ), node=7) as opened:
        store = Mortal(opened.store)
        routing = Routing(store, registered_catalogue())
        await routing.refresh()
        if sys.argv[1] == "target":
            targets = ManageTargets(store=store, runtime=opened.runtime, routing=routing, egress=EgressPolicy())
            await targets.delete(an_actor(instance=opened.instance), TargetId("101"))
        else:
            authenticate = Authenticate(store=store, runtime=opened.runtime, resolve_instance=None)
            instances = ManageInstances(store, opened.runtime, routing, None, authenticate, opened.instance)
            await instances.delete(InstanceId("9001"))

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings of a node on either store."""
    settings = {"OUTRIDER_DATA_DIR": str(tmp_path), "OUTRIDER_DEV": "true"}
    if request.param == "postgresql":
        settings["OUTRIDER_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    return settings


@asynccontextmanager
async def node(environ: dict[str, str]) -> AsyncIterator[AppContext]:
    """Open the store as a node does."""
    async with open_store(from_environ(environ)) as opened:
        yield opened


async def fill(opened: AppContext, instance: InstanceId) -> None:
    """A target with a backlog."""
    events = [
        a_stored_event(planned(str(number)), event=an_event(f"event {number}"), instance=instance)
        for number in range(1, BACKLOG + 1)
    ]

    def add(unit: Unit) -> None:
        unit.targets.add(instance, a_target("101"))
        unit.events.append(instance, events, NOW)

    await opened.store.write(add)


async def killed(environ: dict[str, str], what: str) -> int:
    """Delete in another process, which is killed amid it; return how it ended."""
    paths = os.pathsep.join(path for path in sys.path if path)
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", VICTIM, what), env={**os.environ, **environ, "PYTHONPATH": paths}
    )
    return await victim.wait()


async def counts(opened: AppContext, instance: InstanceId) -> tuple[int, int]:
    """How many of its deliveries are pending, and how many there are."""

    def find(unit: Unit) -> tuple[int, int]:
        pending = DeliverySearch(states=(DeliveryState.PENDING,), limit=BACKLOG)
        every = DeliverySearch(limit=BACKLOG)
        found = (unit.deliveries.search(instance, query) for query in (pending, every))
        left, there = map(len, found)
        return left, there

    return await opened.store.read(find)


async def sweep(opened: AppContext) -> None:
    """What the cleaner of any worker does every few seconds."""
    retention = RetentionPeriods(delivered=YEARS, dead=YEARS, events=YEARS)
    await Cleaner(opened.store, opened.runtime, retention, LogRecorder(), "worker-b").sweep()


async def test_a_target_whose_deletion_was_cut_off_is_deleted_to_the_end(environ):
    """
    Its deliveries have no target any more: none is attempted, and none stays open.
    """
    async with node(environ) as opened:
        await fill(opened, opened.instance)
    ended = await killed(environ, "target")
    async with node(environ) as opened:
        instance = opened.instance
        left = await counts(opened, instance)
        target = await opened.store.read(lambda unit: unit.targets.get(instance, TargetId("101")))
        await sweep(opened)

        assert -signal.SIGKILL == ended
        assert (BACKLOG - 2 * CANCELLED_AT_ONCE, BACKLOG) == left
        assert None is target
        assert (0, BACKLOG) == await counts(opened, instance)


async def test_an_instance_whose_deletion_was_cut_off_is_deleted_to_the_end(environ):
    """
    An operator who was asked to forget a tenant has, also when the machine loses power meanwhile.
    """
    shop = Instance(id=SHOP, name="shop", hosts=("shop.example",), created_at=NOW)
    async with node(environ) as opened:
        await opened.store.write(lambda unit: unit.instances.add(shop))
        await fill(opened, SHOP)
        await fill_another(opened)
    ended = await killed(environ, "instance")
    async with node(environ) as opened:
        _, left = await counts(opened, SHOP)
        hosts = await opened.store.read(lambda unit: unit.instances.hosts())
        await sweep(opened)

        assert -signal.SIGKILL == ended
        assert 0 < left < BACKLOG
        assert "shop.example" not in hosts
        assert (0, 0) == await counts(opened, SHOP)
        assert (1, 1) == await counts(opened, opened.instance)


async def fill_another(opened: AppContext) -> None:
    """A delivery that stays."""
    event = a_stored_event(planned(str(BACKLOG + 1)), instance=opened.instance)

    def add(unit: Unit) -> None:
        unit.targets.add(opened.instance, a_target("101"))
        unit.events.append(opened.instance, [event], NOW)

    await opened.store.write(add)
