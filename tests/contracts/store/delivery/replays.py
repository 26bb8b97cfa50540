"""What every store does with deliveries that a caller wants again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.store.delivery.delivery_log import append
from contracts.store.steps import (
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    delete_target,
    log_of,
    next_due,
    settle,
    states,
)
from contracts.store.store import StoreContract
from contracts.store.targets.policies import pause, resume
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import LogRange, LogWindow, Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.domain.targets.policy import OnDead, Ordering, TargetPolicy
from outrider.usecases.ports.store import Store, Unit
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    a_stored_event,
    an_event,
    planned,
)
from support.runtime import NOW

HOUR = timedelta(hours=1)
EVERYTHING = LogRange(DeliveryId("0"), DeliveryId("1000"))


async def scan(
    store: Store,
    within: LogRange = EVERYTHING,
    *,
    limit: int = 100,
    instance: InstanceId = INSTANCE,
    **filters: Any,
) -> LogWindow:
    """One scan of the log."""
    search = DeliverySearch(**filters)
    return await store.read(lambda unit: unit.log_scans.scan(instance, search, within, limit))


async def found(store: Store, **filters: Any) -> list[str]:
    """The ids of all that fits, in order."""
    ids: list[str] = []
    within = EVERYTHING
    for _ in range(100):
        window = await scan(store, within, limit=2, **filters)
        ids += [source.id for source in window.found]
        if window.reached is None:
            return ids
        within = replace(within, after=window.reached)
    raise AssertionError("it has no end")


async def replay(
    store: Store, *pairs: tuple[str, str], now: datetime = NOW, instance: InstanceId = INSTANCE
) -> Sequence[Replay]:
    """Make replays, (new, original) each; return what was written."""
    replays = [Replay(DeliveryId(new), DeliveryId(original)) for new, original in pairs]
    return await store.write(lambda unit: unit.replays.add(instance, replays, now))


class ReplaysContract(StoreContract):
    """Each test has five deliveries, a second apart: 1 delivered, 2 dead, 3 claimed, 4, 5 due."""

    @pytest.fixture(autouse=True)
    async def filled(self, store: Store) -> None:
        """Targets 101 and 102 in turn; one event each."""
        await add_targets(store)
        for number in range(1, 6):
            target, kind = ("102", "b.b") if number % 2 == 0 else ("101", "a.a")
            event = a_stored_event(
                planned(str(number), target), event=an_event(f"event-{number}", event_type=kind)
            )
            at = NOW + timedelta(seconds=number)
            await append(store, event, at)
        await claim(store, now=NOW + HOUR, limit=3)
        await settle(store, a_settlement("1"), a_settlement("2", DeliveryState.DEAD))

    async def test_what_is_named_says_whether_it_can_be_replayed(self, store: Store) -> None:
        """Open ones are under way already; what is not there is not told."""
        ids = [DeliveryId(delivery_id) for delivery_id in ("3", "9", "2", "4", "x", "1")]
        named = await store.read(lambda unit: unit.log_scans.named(INSTANCE, ids))
        strangers = await store.read(lambda unit: unit.log_scans.named(ANOTHER_INSTANCE, ids))
        nothing = await store.read(lambda unit: unit.log_scans.named(INSTANCE, []))

        assert [("1", True), ("2", True), ("3", False), ("4", False)] == [
            (source.id, source.is_replayable) for source in named
        ]
        assert ([], []) == ([*strangers], [*nothing])

    async def test_a_scan_goes_from_the_oldest_to_the_newest(self, store: Store) -> None:
        """Where one ends the next begins, and none is seen twice."""
        assert ["1", "2", "3", "4", "5"] == await found(store)
        window = await scan(store, limit=2)
        assert ("2", NOW + timedelta(seconds=2)) == (window.reached, window.reached_at)
        assert [] == [*(await scan(store, instance=ANOTHER_INSTANCE)).found]

    async def test_a_scan_keeps_to_its_range(self, store: Store) -> None:
        """What is made during a long replay is not replayed."""
        window = await scan(store, LogRange(DeliveryId("2"), DeliveryId("4")))

        assert ["3", "4"] == [source.id for source in window.found]
        assert (None, NOW + timedelta(seconds=4)) == (window.reached, window.reached_at)

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"states": (DeliveryState.DEAD,)}, ["2"]),
            ({"states": (DeliveryState.DEAD, DeliveryState.DELIVERED)}, ["1", "2"]),
            ({"target_id": "102"}, ["2", "4"]),
            ({"target_id": "102", "states": (DeliveryState.DEAD,)}, ["2"]),
            ({"target_id": "101", "states": (DeliveryState.DEAD,)}, []),
            ({"event_type": "a.a"}, ["1", "3", "5"]),
            ({"event_id": "event-4"}, ["4"]),
            ({"event_id": "event-4", "target_id": "101"}, []),
            ({"event_id": "nobody's"}, []),
            ({"created_since": NOW + timedelta(seconds=4)}, ["4", "5"]),
            ({"created_until": NOW + timedelta(seconds=2)}, ["1"]),
            ({"created_since": NOW + HOUR}, []),
            ({"created_until": NOW - HOUR}, []),
        ],
    )
    async def test_filters_are_those_of_the_log(
        self, store: Store, filters: dict[str, Any], expected: list[str]
    ) -> None:
        """What was listed is what is replayed."""
        assert expected == await found(store, **filters)
        listed = await store.read(
            lambda unit: unit.deliveries.search(INSTANCE, DeliverySearch(**filters))
        )
        assert expected == [delivery.id for delivery in reversed(listed)]

    async def test_times_find_their_place_in_a_long_log(self, store: Store) -> None:
        """Days apart: neither edge leaves something out."""
        for day in range(1, 8):
            at = NOW + timedelta(days=day)
            await add_pending(store, planned(str(100 + day)), event=f"day-{day}", now=at)
        since, until = NOW + timedelta(days=3), NOW + timedelta(days=6)

        assert ["103", "104", "105"] == await found(store, created_since=since, created_until=until)

    async def test_a_replay_is_a_delivery_like_any_other(self, store: Store) -> None:
        """The same bytes to the same target; the log tells what it repeats."""
        later = NOW + 2 * HOUR
        original = await log_of(store, "2")
        await replay(store, ("20", "2"), now=later)
        log = await log_of(store, "20")

        assert log == replace(
            original,
            id=DeliveryId("20"),
            state=DeliveryState.PENDING,
            attempt_count=0,
            attempts=(),
            created_at=later,
            next_attempt_at=later,
            finished_at=None,
            replay_of=DeliveryId("2"),
        )
        assert original == await log_of(store, "2")
        claimed = {delivery.id: delivery for delivery in await claim(store, now=later)}
        assert (1, False, original.payload) == (
            claimed[DeliveryId("20")].attempt_number,
            claimed[DeliveryId("20")].has_dependents,
            claimed[DeliveryId("20")].body,
        )

    async def test_only_what_is_finished_is_replayed(self, store: Store) -> None:
        """Checked when it is written: between scan and write a lot may happen."""
        await delete_target(store, "102")
        written = await replay(
            store, ("11", "1"), ("12", "2"), ("13", "3"), ("14", "4"), ("15", "5"), ("19", "9")
        )
        another = await replay(store, ("21", "1"), instance=ANOTHER_INSTANCE)

        assert [Replay(DeliveryId("11"), DeliveryId("1"))] == [*written]
        assert [] == [*another]
        assert {"1", "2", "3", "4", "5", "11"} == set(await states(store))

    async def test_a_replay_is_no_delivery_of_its_publish(self, store: Store) -> None:
        """A publisher that asks again is told what its event had."""
        await replay(store, ("11", "1"))
        stored = an_event("event-1")
        counts = await store.read(lambda unit: unit.events.delivery_counts(INSTANCE, [stored.id]))

        assert {"event-1": 1} == counts

    async def test_a_replay_to_a_paused_target_waits_with_the_others(self, store: Store) -> None:
        """And is due when the target goes on."""
        await pause(store, "102")
        await replay(store, ("12", "2"), now=NOW + HOUR)

        assert ["5"] == await claimed_ids(store, now=NOW + HOUR)
        assert None is await next_due(store)

        await resume(store, "102")

        assert ["4"] == await claimed_ids(store, now=NOW + HOUR)
        await settle(store, a_settlement("4"), now=NOW + HOUR)
        assert ["12"] == await claimed_ids(store, now=NOW + HOUR)

    async def test_a_replay_can_be_replayed(self, store: Store) -> None:
        """It names the one that was asked for."""
        await replay(store, ("11", "1"))
        await claim(store, now=NOW + HOUR)
        await settle(store, a_settlement("11"))
        await replay(store, ("21", "11"))

        assert "11" == (await log_of(store, "21")).replay_of

    async def test_the_replay_of_a_dead_delivery_takes_its_place_in_the_order(
        self, store: Store
    ) -> None:
        """Where a dead delivery halts its aggregate, a replay is the way on."""
        target_id = TargetId("103")
        policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT)

        def in_order(unit: Unit) -> None:
            unit.policies.put(INSTANCE, target_id, policy, NOW)

        await store.write(in_order)
        await add_pending(store, planned("31", "103"), event="first")
        await add_pending(store, planned("32", "103"), event="second")
        await claim(store, now=NOW + HOUR)
        await settle(store, a_settlement("31", DeliveryState.DEAD))

        assert [] == await claimed_ids(store, now=NOW + HOUR)

        def replay_in_place(unit: Unit) -> bool:
            replays = [Replay(DeliveryId("41"), DeliveryId("31"))]
            unit.replays.add(INSTANCE, replays, NOW)
            return {"31"} == unit.deliveries.resume_keys(INSTANCE, replays)

        assert await store.write(replay_in_place)
        assert ["41"] == await claimed_ids(store, now=NOW + HOUR)
        await settle(store, a_settlement("41"), now=NOW + HOUR)
        assert ["32"] == await claimed_ids(store, now=NOW + HOUR)
