"""What every store promises about units of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from contracts.store.steps import (
    WORKER,
    add_pending,
    add_targets,
    claim,
)
from contracts.store.store import StoreContract
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import TargetId
from outrider.domain.page import Page
from outrider.domain.targets.search import TargetSort
from outrider.domain.targets.target import Target
from outrider.errors import NotFound
from outrider.usecases.ports.store import Store, Unit
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    a_stored_event,
    a_target,
    a_token,
    an_event_condition,
    an_execution,
    planned,
)
from support.runtime import NOW


class ChangedMindError(Exception):
    """What a unit raises that is not to happen."""


def everything(unit: Unit) -> None:
    """Change something of every kind."""
    unit.targets.add(INSTANCE, a_target("109"))
    unit.targets.replace(INSTANCE, a_target("102", name="renamed"))
    unit.targets.delete(INSTANCE, TargetId("101"), NOW)
    unit.executions.put(INSTANCE, an_execution("102"))
    unit.tokens.add(a_token(), b"hash")
    unit.events.append(INSTANCE, [a_stored_event(planned("9", "102"))], NOW)
    unit.deliveries.settle(WORKER, [a_settlement("1")], NOW)
    unit.deliveries.claim(WORKER, NOW, 100)
    unit.leases.renew(WORKER, NOW)
    unit.catalogue.remember(INSTANCE, ["new.type"])


def all_that_shows(unit: Unit) -> dict[str, object]:
    """What can be read of all that `everything` changes."""
    rows = unit.deliveries.search(INSTANCE, DeliverySearch())
    return {
        "targets": list(unit.targets.search(INSTANCE, [], TargetSort.ID, Page()).rows),
        "deleted": unit.targets.deleted_at(INSTANCE, TargetId("101")),
        "execution": unit.executions.get(INSTANCE, an_event_condition().execution_id),
        "token": unit.tokens.by_hash(b"hash"),
        "deliveries": [unit.deliveries.get(INSTANCE, row.id) for row in rows],
        "orphans": list(unit.leases.orphans(NOW, 100)),
        "catalogue": dict(unit.catalogue.names()),
        "revision": unit.routing_revision(),
    }


async def get(store: Store, target: str) -> Target | None:
    """A target of the instance."""
    return await store.read(lambda unit: unit.targets.get(INSTANCE, TargetId(target)))


async def revision(store: Store) -> int:
    """What the router is compared by."""
    return await store.read(lambda unit: unit.routing_revision())


class UnitsContract(StoreContract):
    """All or nothing, one after the other."""

    async def test_the_result_of_a_unit_is_returned(self, store: Store) -> None:
        """Whatever it is."""
        result = object()

        assert result is await store.write(lambda _: result)
        assert result is await store.read(lambda _: result)

    async def test_what_was_written_is_read(self, store: Store) -> None:
        """Immediately, by the next reader."""
        for number in range(101, 121):
            await add_targets(store, a_target(str(number)))

            assert a_target(str(number)) == await get(store, str(number))

    async def test_a_unit_sees_its_own_changes(self, store: Store) -> None:
        """Checks and changes of one unit build on each other."""

        def add_and_count(unit: Unit) -> int:
            unit.targets.add(INSTANCE, a_target("101"))
            unit.targets.add(INSTANCE, a_target("102"))
            return len(unit.targets.existing(INSTANCE, [TargetId("101"), TargetId("102")]))

        assert 2 == await store.write(add_and_count)

    @pytest.mark.parametrize("failure", [ChangedMindError("why"), NotFound("Target not found")])
    async def test_a_unit_that_raises_leaves_nothing_behind(
        self, store: Store, failure: Exception
    ) -> None:
        """Of none of the things it changed; the caller gets the same exception."""
        await add_targets(store)
        await add_pending(store, planned("1"), event="event-0")
        await claim(store)
        before = await store.read(all_that_shows)

        def change_and_fail(unit: Unit) -> None:
            everything(unit)
            raise failure

        with pytest.raises(type(failure)) as raised:
            await store.write(change_and_fail)
        assert failure is raised.value
        assert before == await store.read(all_that_shows)

    async def test_what_a_failed_unit_did_is_not_in_the_way(self, store: Store) -> None:
        """Doing it again does it, all of it."""
        await add_targets(store)
        await add_pending(store, planned("1"), event="event-0")
        await claim(store)
        before = await store.read(all_that_shows)

        def change_and_fail(unit: Unit) -> None:
            everything(unit)
            raise ChangedMindError

        with pytest.raises(ChangedMindError):
            await store.write(change_and_fail)
        await store.write(everything)
        after = await store.read(all_that_shows)

        assert [] == [name for name, value in before.items() if value == after[name]]

    async def test_a_unit_that_raises_takes_no_other_with_it(self, store: Store) -> None:
        """Units that arrive together may share a commit, but not a fate."""

        def add(number: int) -> Callable[[Unit], None]:
            def work(unit: Unit) -> None:
                unit.targets.add(INSTANCE, a_target(str(number)))
                if number % 3 == 0:
                    raise ChangedMindError

            return work

        results = await asyncio.gather(
            *(store.write(add(number)) for number in range(101, 161)), return_exceptions=True
        )
        target_ids = [TargetId(str(number)) for number in range(101, 161)]
        existing = await store.read(lambda unit: unit.targets.existing(INSTANCE, target_ids))

        assert 20 == sum(isinstance(result, ChangedMindError) for result in results)
        assert {target_id for target_id in target_ids if int(target_id) % 3} == existing

    async def test_units_happen_one_after_the_other(self, store: Store) -> None:
        """Each sees all that happened before: nothing is lost between reading and writing."""
        await add_targets(store, a_target("101", timeout=0 * a_target().timeout))

        def lengthen(unit: Unit) -> None:
            target = unit.targets.get(INSTANCE, TargetId("101"))
            if target is not None:
                longer = replace(target, timeout=target.timeout + a_target().timeout)
                unit.targets.replace(INSTANCE, longer)

        await asyncio.gather(*(store.write(lengthen) for _ in range(40)))
        target = await get(store, "101")

        assert target is not None
        assert 40 * a_target().timeout == target.timeout

    async def test_the_routing_revision_grows_with_what_changes_routing(self, store: Store) -> None:
        """A router that is not rebuilt sends events to where they went before."""
        await add_targets(store)
        revisions = [await revision(store)]
        changes: list[Callable[[Unit], None]] = [
            lambda unit: unit.executions.put(INSTANCE, an_execution("101", "102")),
            lambda unit: unit.executions.put(INSTANCE, an_execution()),
            lambda unit: unit.targets.replace(INSTANCE, a_target("101", name="renamed")),
            lambda unit: unit.targets.delete(INSTANCE, TargetId("101"), NOW),
            lambda unit: unit.catalogue.remember(INSTANCE, ["a.type"]),
            lambda unit: unit.catalogue.remember(ANOTHER_INSTANCE, ["a.type"]),
            lambda unit: unit.catalogue.remember(INSTANCE, ["a.type", "another.type"]),
        ]
        for change in changes:
            await store.write(change)
            revisions.append(await revision(store))

        assert sorted(set(revisions)) == revisions

    async def test_the_routing_revision_stays_when_routing_does(self, store: Store) -> None:
        """A rebuilt router costs time: ten thousand events are no reason for one."""
        await add_targets(store)
        await store.write(
            lambda unit: unit.catalogue.remember(INSTANCE, ["a.type", "another.type"])
        )
        before = await revision(store)
        await add_pending(store, planned("1"))
        await claim(store)
        await store.write(lambda unit: unit.deliveries.settle(WORKER, [a_settlement("1")], NOW))
        await store.write(lambda unit: unit.catalogue.remember(INSTANCE, ["another.type"]))
        await store.write(lambda unit: unit.tokens.add(a_token(), b"hash"))

        assert before == await revision(store)

    async def test_a_store_that_takes_writes_says_so_and_nothing_changes(
        self, store: Store
    ) -> None:
        """Probes ask for years: what each of them left behind would fill the disk."""
        await add_targets(store)
        before = await store.read(all_that_shows), await revision(store)
        for _ in range(3):
            await store.check_writable()

        assert before == (await store.read(all_that_shows), await revision(store))

    async def test_reading_continues_while_others_write(self, store: Store) -> None:
        """A reader sees a state that was there: never half of a unit."""

        def add_two(number: int) -> Callable[[Unit], None]:
            def work(unit: Unit) -> None:
                unit.targets.add(INSTANCE, a_target(str(number)))
                unit.targets.add(INSTANCE, a_target(str(number + 1)))

            return work

        async def count() -> int:
            target_ids = [TargetId(str(number)) for number in range(101, 161)]
            existing = await store.read(lambda unit: unit.targets.existing(INSTANCE, target_ids))
            return len(existing)

        tasks: list[Awaitable[int | None]] = []
        for number in range(101, 161, 2):
            tasks += [store.write(add_two(number)), count()]
        results = await asyncio.gather(*tasks)

        assert {0} == {seen % 2 for seen in results if isinstance(seen, int)}
