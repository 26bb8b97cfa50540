"""What a store on a database does in parts: no transaction holds the writer for long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from datetime import timedelta

import pytest

from contracts.store.steps import (
    WORKER,
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    log_of,
    release_claims,
    settle,
)
from contracts.store.store import StoreContract
from outrider.adapters.sql.access.instances import DELETED_AT_ONCE
from outrider.adapters.sql.delivery.cancellations import CANCELLED_AT_ONCE
from outrider.adapters.sql.delivery.transitions import MOVED_AT_ONCE
from outrider.adapters.sql.stores.unit_queue import MAX_ROWS
from outrider.domain.access.instance import Instance
from outrider.domain.delivery.delivery import (
    MAX_DELIVERIES,
    DeliveryState,
    Dependents,
    Settlement,
    plan_deliveries,
)
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.events.event import MAX_EVENTS
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.targets.policy import Ordering, TargetPolicy
from outrider.runtime import Runtime
from outrider.usecases.ports.deliveries import StoredEvent
from outrider.usecases.ports.store import LIGHT, Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.targets.targets import ManageTargets
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    a_stored_event,
    a_target,
    an_actor,
    an_attempt,
    an_event,
    planned,
)
from support.runtime import NOW

TARGET = TargetId("101")
BACKLOG = 2 * CANCELLED_AT_ONCE + 1
LATER = NOW + timedelta(hours=1)


async def count(store: Store, *states: DeliveryState, instance: InstanceId = INSTANCE) -> int:
    """How many deliveries are in one of these states."""
    query = DeliverySearch(states=states, limit=100_000)
    return len(await store.read(lambda unit: unit.deliveries.search(instance, query)))


async def add_backlog(
    store: Store, size: int, *, instance: InstanceId = INSTANCE, first: int = 1
) -> None:
    """Write events with a delivery to the target each, all of one aggregate."""
    events = [
        a_stored_event(planned(str(number)), event=an_event(f"backlog {number}"), instance=instance)
        for number in range(first, first + size)
    ]
    await store.write(lambda unit: unit.events.append(instance, events, NOW))


def in_front_of(dependents: int, first: int) -> StoredEvent:
    """An event whose first delivery, to 101, all the others wait for; they go to 102."""
    targets = [(DeliveryId(str(first)), TARGET, True)]
    targets += [
        (DeliveryId(str(first + number)), TargetId("102"), False)
        for number in range(1, dependents + 1)
    ]
    return a_stored_event(*plan_deliveries(targets), event=an_event(f"front {first}"))


async def add_in_front_of(store: Store, dependents: int, firsts: Collection[int]) -> None:
    """Write such events; their first deliveries have these ids."""
    for first in firsts:
        event = in_front_of(dependents, first)
        await store.write(lambda unit, event=event: unit.events.append(INSTANCE, [event], NOW))


async def finish(store: Store) -> int:
    """Continue the deletion of the target; return how many parts that took."""
    parts = 1
    while not await store.write(lambda unit: unit.targets.finish_deletion(INSTANCE, TARGET, LATER)):
        parts += 1
    return parts


class BlockedWriter:
    """Holds the writer's thread until what comes meanwhile is lined up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._runs, self._goes_on = threading.Event(), threading.Event()

    async def __aenter__(self) -> None:
        def block(_: Unit) -> None:
            self._runs.set()
            assert self._goes_on.wait(10)

        self._blocking = asyncio.create_task(self._store.write(block, shared=True))
        await asyncio.to_thread(self._runs.wait)

    async def __aexit__(self, *_: object) -> None:
        # What was begun before has reached the writer's queue.
        await asyncio.sleep(0)
        self._goes_on.set()
        await self._blocking


class BoundsContract(StoreContract):
    """Large changes, a bounded part in each transaction."""

    async def test_tenants_write_in_turn_and_each_in_its_order(self, store: Store) -> None:
        """A stream of large calls of one is not in front of the small ones of another."""
        order: list[str] = []
        units = [(f"large {number}", Load("a", MAX_ROWS)) for number in range(3)]
        units += [(f"small {number}", Load("b")) for number in range(3)]
        units.append(("unnamed", LIGHT))

        def work(name: str) -> Callable[[Unit], None]:
            return lambda _: order.append(name)

        async with BlockedWriter(store):
            writing = [
                asyncio.create_task(store.write(work(name), shared=True, load=load))
                for name, load in units
            ]
        await asyncio.gather(*writing)

        assert "large 0" == order[0]
        assert {"small 0", "small 1", "small 2", "unnamed"} == set(order[1:5])
        assert ["large 1", "large 2"] == order[5:]
        assert ["small 0", "small 1", "small 2"] == [name for name in order if "small" in name]

    async def test_a_large_unit_that_fails_takes_no_small_one_with_it(self, store: Store) -> None:
        """They share no commit, and no fate."""

        def fail(unit: Unit) -> None:
            unit.targets.add(INSTANCE, a_target("108"))
            raise ValueError

        async with BlockedWriter(store):
            large = asyncio.create_task(store.write(fail, load=Load("a", MAX_ROWS)))
            small = asyncio.create_task(add_targets(store, a_target("109")))
        failure = (await asyncio.gather(large, small, return_exceptions=True))[0]
        existing = await store.read(
            lambda unit: unit.targets.existing(INSTANCE, [TargetId("108"), TargetId("109")])
        )

        assert isinstance(failure, ValueError)
        assert {"109"} == existing

    async def test_the_largest_call_is_stored_whole(self, store: Store) -> None:
        """As many events and deliveries as one call may have."""
        await add_targets(store)
        fan_out = MAX_DELIVERIES // MAX_EVENTS
        ids = iter(range(1, MAX_DELIVERIES + 1))
        events = [
            a_stored_event(
                *(planned(str(next(ids)), str(101 + target)) for target in range(fan_out)),
                event=an_event(f"event {number}"),
            )
            for number in range(MAX_EVENTS)
        ]
        written = await store.write(lambda unit: unit.events.append(INSTANCE, events, NOW))

        assert [fan_out] * MAX_EVENTS == written
        assert MAX_DELIVERIES == await count(store)

    async def test_one_call_keeps_the_order_of_an_aggregate(self, store: Store) -> None:
        """Its events wait on one another, and on what came before the call."""
        await add_targets(store)
        policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE)
        await store.write(lambda unit: unit.policies.put(INSTANCE, TARGET, policy, NOW))
        await claim(store, now=LATER)
        await add_backlog(store, 1)
        await add_backlog(store, 3, first=2)
        order = []
        while claimed := await claimed_ids(store, now=LATER):
            order.append(claimed)
            await settle(store, *(a_settlement(delivery) for delivery in claimed), now=LATER)

        assert [["1"], ["2"], ["3"], ["4"]] == order

    async def test_a_large_call_and_a_small_one_name_an_aggregate_alike(self, store: Store) -> None:
        """Many rows are written in another way than few: whatever the text, it is the same text."""
        await add_targets(store)
        policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE)
        await store.write(lambda unit: unit.policies.put(INSTANCE, TARGET, policy, NOW))
        await claim(store, now=LATER)
        odd = 'größe 🪝 "\\" {} \u2028\n\x01'
        fronts = [
            a_stored_event(
                planned(str(number), "101" if number == 1 else "102"),
                event=an_event(f"event {number}", aggregate_id=odd),
            )
            for number in range(1, 401)
        ]
        await store.write(lambda unit: unit.events.append(INSTANCE, fronts, NOW))
        behind = a_stored_event(planned("1001"), event=an_event("behind", aggregate_id=odd))
        await store.write(lambda unit: unit.events.append(INSTANCE, [behind], NOW))
        claimed = set(await claimed_ids(store, now=LATER, limit=1000))
        await settle(store, a_settlement("1"), now=LATER)

        assert {str(number) for number in range(1, 401)} == claimed
        assert ["1001"] == await claimed_ids(store, now=LATER)

    async def test_a_duplicate_is_answered_when_its_deliveries_are_gone(self, store: Store) -> None:
        """With how many were stored, which is not how many are left."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2", "102"))
        await claim(store)
        await settle(store, a_settlement("1"), a_settlement("2"))
        await store.write(
            lambda unit: unit.retention.delete_expired_deliveries(
                DeliveryState.DELIVERED, LATER, 10
            )
        )
        event = an_event().id

        assert 0 == await count(store)
        known = await store.read(lambda unit: unit.events.known(INSTANCE, [event]))
        assert 2 == known[event].deliveries

    @pytest.mark.parametrize("is_ordered", [False, True], ids=["at will", "in order"])
    async def test_a_target_with_a_backlog_is_deleted_in_parts(
        self, store: Store, *, is_ordered: bool
    ) -> None:
        """It is removed immediately; the next worker that looks finishes what is recorded."""
        await add_targets(store)
        await add_targets(store, instance=ANOTHER_INSTANCE)
        if is_ordered:
            policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE)
            await store.write(lambda unit: unit.policies.put(INSTANCE, TARGET, policy, NOW))
            await claim(store, now=LATER)
        await add_backlog(store, BACKLOG)
        await add_pending(
            store, planned("9001"), instance=ANOTHER_INSTANCE, event="of another instance"
        )
        await store.write(lambda unit: unit.targets.delete(INSTANCE, TARGET, LATER))
        first_part = await count(store, DeliveryState.CANCELLED)
        noted = await store.read(lambda unit: unit.targets.unfinished_deletions())
        parts = await finish(store)

        assert CANCELLED_AT_ONCE == first_part
        assert [(INSTANCE, TARGET)] == noted
        assert 2 <= parts <= 3
        assert BACKLOG == await count(store, DeliveryState.CANCELLED)
        assert 1 == await count(store, DeliveryState.PENDING, instance=ANOTHER_INSTANCE)
        assert [] == await store.read(lambda unit: unit.targets.unfinished_deletions())

    async def test_others_write_between_the_parts_of_a_deletion(self, store: Store) -> None:
        """By the order of what is run: the deletion is not one turn."""
        await add_targets(store)
        await add_backlog(store, BACKLOG)
        routing = Routing(store, Catalogue())
        await routing.refresh()
        targets = ManageTargets(
            store=store, runtime=Runtime(), routing=routing, egress=EgressPolicy()
        )
        left: list[int] = []

        def look(unit: Unit) -> None:
            query = DeliverySearch(states=(DeliveryState.PENDING,), limit=BACKLOG)
            left.append(len(unit.deliveries.search(INSTANCE, query)))

        deleting = asyncio.create_task(targets.delete(an_actor(), TARGET))
        while not deleting.done():
            await store.write(look)

        assert {BACKLOG - CANCELLED_AT_ONCE, BACKLOG - 2 * CANCELLED_AT_ONCE} & set(left)
        assert 0 == await count(store, DeliveryState.PENDING)

    async def test_what_waits_behind_a_deleted_target_moves_up_in_parts(self, store: Store) -> None:
        """Each of few deliveries may have many behind it."""
        await add_targets(store)
        dependents = CANCELLED_AT_ONCE - 1
        await add_in_front_of(store, dependents, [1000, 2000, 3000])
        await store.write(lambda unit: unit.targets.delete(INSTANCE, TARGET, LATER))
        first_part = await count(store, DeliveryState.CANCELLED)
        await finish(store)

        assert 2 == first_part
        assert 3 == await count(store, DeliveryState.CANCELLED)
        assert LATER == (await log_of(store, "3001")).next_attempt_at

    async def test_an_instance_is_deleted_in_parts(self, store: Store) -> None:
        """It is removed immediately, and its rows after a while; another one keeps all its rows."""
        another = Instance(
            id=ANOTHER_INSTANCE, name="another", hosts=("another.example",), created_at=NOW
        )
        await store.write(lambda unit: unit.instances.add(another))
        for instance in (INSTANCE, ANOTHER_INSTANCE):
            await add_targets(store, instance=instance)
        await add_backlog(store, 10)
        size = DELETED_AT_ONCE + 1
        await add_backlog(store, size, instance=ANOTHER_INSTANCE, first=1001)
        await claim(store, limit=5)

        assert await store.write(lambda unit: unit.instances.delete(ANOTHER_INSTANCE))
        assert {} == await store.read(lambda unit: unit.instances.hosts())
        assert 0 < await count(store, instance=ANOTHER_INSTANCE) < size
        assert [ANOTHER_INSTANCE] == await store.read(
            lambda unit: unit.instances.unfinished_deletions()
        )
        while not await store.write(lambda unit: unit.instances.finish_deletion(ANOTHER_INSTANCE)):
            pass
        assert 0 == await count(store, instance=ANOTHER_INSTANCE)
        assert 10 == await count(store)
        assert [] == await store.read(lambda unit: unit.instances.unfinished_deletions())

    async def test_settlements_with_many_dependents_fill_a_transaction(self, store: Store) -> None:
        """The others are still claimed, and settled by the next one."""
        await add_targets(store)
        dependents = MOVED_AT_ONCE // 2 + 1
        await add_in_front_of(store, dependents, [1000, 2000, 3000])
        await claim(store)
        settlements = [
            a_settlement(str(first), dependents=Dependents.RELEASE) for first in (1000, 2000, 3000)
        ]
        settled = await store.write(lambda unit: unit.deliveries.settle(WORKER, settlements, NOW))
        rest = await store.write(lambda unit: unit.deliveries.settle(WORKER, settled.rest, NOW))

        assert (2, ["3000"]) == (settled.count, [left.delivery_id for left in settled.rest])
        assert (1, ()) == (rest.count, rest.rest)
        assert NOW == (await log_of(store, "3001")).next_attempt_at

    async def test_heavy_settlements_fill_a_transaction(self, store: Store) -> None:
        """What a caller is going to write because of them counts; one of them always fits."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2"), planned("3"))
        await claim(store)
        settlements = [a_settlement(number, DeliveryState.DEAD) for number in "123"]

        def heavy(instance: InstanceId, settlement: Settlement, has_breaker: bool) -> int:  # noqa: FBT001 - a `Weigh`
            assert (INSTANCE, False) == (instance, has_breaker)
            return 2 * MOVED_AT_ONCE if settlement.delivery_id == "1" else MOVED_AT_ONCE // 2

        first = await store.write(
            lambda unit: unit.deliveries.settle(WORKER, settlements, NOW, heavy)
        )
        second = await store.write(
            lambda unit: unit.deliveries.settle(WORKER, first.rest, NOW, heavy)
        )

        assert (1, 2, 2, 0) == (first.count, len(first.rest), second.count, len(second.rest))

    async def test_a_long_chain_is_cancelled_to_its_end(self, store: Store) -> None:
        """Each depends on the one in front: by one statement, not by hundreds."""
        await add_targets(store)
        plan = plan_deliveries(
            [(DeliveryId(str(number)), TARGET, True) for number in range(1, 301)]
        )
        await add_pending(store, *plan)
        await claim(store)
        await settle(
            store, a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL), now=LATER
        )

        assert 299 == await count(store, DeliveryState.CANCELLED)
        assert LATER == (await log_of(store, "300")).finished_at

    async def test_cancellations_that_take_effect_together_do_so_in_parts(
        self, store: Store
    ) -> None:
        """What is left to cancel is attempted no more meanwhile."""
        await add_targets(store)
        dependents = CANCELLED_AT_ONCE // 2 + 1
        firsts = [1000, 2000, 3000]
        await add_in_front_of(store, dependents, firsts)
        claimed = [delivery.id for delivery in await claim(store)]
        for delivery in claimed:
            await store.write(
                lambda unit, stopped=delivery: unit.cancellations.cancel(INSTANCE, stopped, NOW)
            )
        await release_claims(store, *claimed)
        first_part = await count(store, DeliveryState.CANCELLED)
        due = await claimed_ids(store, now=LATER, limit=10 * dependents)
        await store.write(lambda unit: unit.cancellations.take_effect(LATER))

        assert 2 == first_part
        assert 2 * dependents == len(due)
        assert 3 == await count(store, DeliveryState.CANCELLED)
        assert dependents == len(await claimed_ids(store, now=LATER, limit=10 * dependents))

    async def test_a_clock_that_went_back_is_set_right_in_parts(self, store: Store) -> None:
        """As many deliveries as there are; retries keep their time."""
        await add_targets(store)
        await add_backlog(store, 2001)
        await claim(store, limit=1)
        retry = Settlement(
            DeliveryId("1"), DeliveryState.RETRYING, an_attempt(), LATER, Dependents.WAIT
        )
        await settle(store, retry)
        before, parts, after = NOW - timedelta(hours=1), 0, 0
        while after is not None:
            parts += 1
            after = await store.write(
                lambda unit, after=after: unit.deliveries.clock_went_back(before, after)
            )

        assert 2 == parts
        assert 2000 == len(await claimed_ids(store, now=before, limit=3000))
        assert LATER == (await log_of(store, "1")).next_attempt_at
