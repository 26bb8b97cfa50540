"""What every store does with deliveries that a caller wants again."""

from __future__ import annotations

import asyncio
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
from outrider.domain.ids import DeliveryId, ExecutionId, InstanceId, TargetId
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
    store: Store,
    *pairs: tuple[str, str],
    now: datetime = NOW,
    instance: InstanceId = INSTANCE,
    include_replayed: bool = True,
) -> Sequence[Replay]:
    """Make replays, (new, original) each; return what was written."""
    replays = [Replay(DeliveryId(new), DeliveryId(original)) for new, original in pairs]
    return await store.write(
        lambda unit: unit.replays.add(instance, replays, now, include_replayed=include_replayed)
    )


async def replay_once(store: Store, *pairs: tuple[str, str]) -> list[str]:
    """Make replays of what has none that is open or delivered; the ids of those that were made."""
    written = await replay(store, *pairs, now=NOW + HOUR, include_replayed=False)
    return [made.id for made in written]


async def replayed(store: Store, *ids: str) -> list[str]:
    """Those of these that count as replayed."""
    entries = await store.read(
        lambda unit: unit.log_scans.named(INSTANCE, [DeliveryId(id_) for id_ in ids])
    )
    return [entry.id for entry in entries if entry.is_replayed]


async def end(store: Store, delivery: str, state: DeliveryState) -> None:
    """Attempt a delivery, and settle it so."""
    await claim(store, now=NOW + HOUR)
    await settle(store, a_settlement(delivery, state))


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
        """Open ones are skipped; unknown ones are not reported."""
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

    async def test_a_replay_has_the_hops_of_its_event(self, store: Store) -> None:
        """It is the same event, however often it is sent."""
        event = a_stored_event(planned("51"), event=replace(an_event("far"), hops=7))
        await store.write(lambda unit: unit.events.append(INSTANCE, [event], NOW))
        first = await claim(store)
        await settle(store, a_settlement("51"))
        await replay(store, ("52", "51"))
        second = await claim(store)

        found = {claimed.id: claimed.hops for claimed in (*first, *second)}
        assert (7, 7) == (found[DeliveryId("51")], found[DeliveryId("52")])

    async def test_a_replay_is_no_delivery_of_its_publish(self, store: Store) -> None:
        """A publisher that asks again is told what its event had."""
        await replay(store, ("11", "1"))
        stored = an_event("event-1")
        known = await store.read(lambda unit: unit.events.known(INSTANCE, [stored.id]))

        assert 1 == known[stored.id].deliveries

    async def test_a_replay_to_a_paused_target_waits_with_the_others(self, store: Store) -> None:
        """And is due when the target is resumed."""
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

    async def test_a_second_replay_is_made_only_when_the_first_was_in_vain(
        self, store: Store
    ) -> None:
        """While one is open, and when it was delivered, it is not made; when it has died, it is."""
        made = [await replay_once(store, ("12", "2")), await replay_once(store, ("22", "2"))]
        await end(store, "12", DeliveryState.DEAD)
        made.append(await replay_once(store, ("32", "2")))
        await end(store, "32", DeliveryState.DELIVERED)
        made.append(await replay_once(store, ("42", "2")))

        assert [["12"], [], ["32"], []] == made
        assert ["2", "12", "32"] == await replayed(store, "1", "2", "12", "32")

    async def test_a_cancelled_replay_does_not_count(self, store: Store) -> None:
        """An operator stopped it: the event has not arrived."""
        await replay_once(store, ("12", "2"))
        await store.write(lambda unit: unit.cancellations.cancel(INSTANCE, DeliveryId("12"), NOW))

        assert ["22"] == await replay_once(store, ("22", "2"))

    async def test_of_several_that_go_back_to_one_the_first_is_replayed(self, store: Store) -> None:
        """Whatever repeats what: a dead delivery and its dead replays are one event for a receiver."""
        await replay(store, ("12", "2"))
        await end(store, "12", DeliveryState.DEAD)
        await replay(store, ("22", "12"))
        await end(store, "22", DeliveryState.DEAD)
        nothing_yet = await replayed(store, "2", "12", "22")

        assert ["32"] == await replay_once(store, ("32", "2"), ("33", "12"), ("34", "22"))
        assert ["2", "12", "22"] == await replayed(store, "2", "12", "22")
        await end(store, "32", DeliveryState.DELIVERED)
        assert [] == await replay_once(store, ("42", "22"), ("43", "12"), ("44", "2"), ("45", "32"))
        assert [] == nothing_yet

    async def test_what_was_delivered_is_replayed_once_too(self, store: Store) -> None:
        """Its replay is no reason to make another of that."""
        made = [await replay_once(store, ("11", "1"))]
        await end(store, "11", DeliveryState.DELIVERED)
        made.append(await replay_once(store, ("21", "1"), ("22", "11")))

        assert [["11"], []] == made

    async def test_a_replay_that_retention_deleted_still_counts(self, store: Store) -> None:
        """The dead one stays longer than what was delivered: it must not come a second time."""
        await replay(store, ("12", "2"))
        await end(store, "12", DeliveryState.DEAD)
        await replay(store, ("22", "12"))
        await end(store, "22", DeliveryState.DELIVERED)

        def delete_delivered(unit: Unit) -> int:
            return unit.retention.delete_expired_deliveries(
                DeliveryState.DELIVERED, NOW + 2 * HOUR, 100
            )

        assert await store.write(delete_delivered)
        assert {"2", "12"} <= set(await states(store))
        assert not {"22"} & set(await states(store))
        assert ["2", "12"] == await replayed(store, "2", "12")
        assert [] == await replay_once(store, ("32", "2"), ("33", "12"))
        await replay(store, ("42", "2"))
        await end(store, "42", DeliveryState.DEAD)
        assert [] == await replay_once(store, ("52", "42"))

    async def test_of_concurrent_calls_one_makes_the_replay(self, store: Store) -> None:
        """Of many callers at the same time one makes it."""
        calls = [replay_once(store, (str(number), "2")) for number in range(50, 58)]
        made = await asyncio.gather(*calls)

        assert 1 == sum(map(len, made))

    async def test_the_replay_of_a_first_one_takes_the_place_of_the_last(
        self, store: Store
    ) -> None:
        """The key is halted by the replay that died: a filter finds what it repeats first."""
        target_id = TargetId("103")
        policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT)
        await store.write(lambda unit: unit.policies.put(INSTANCE, target_id, policy, NOW))
        await add_pending(store, planned("31", "103"), event="first")
        await add_pending(store, planned("32", "103"), event="second")
        await end(store, "31", DeliveryState.DEAD)
        resumed = [await _replay_in_place(store, "41", "31")]
        await end(store, "41", DeliveryState.DEAD)
        resumed.append(await _replay_in_place(store, "51", "31"))

        assert [{"31"}, {"41"}] == resumed
        assert ["51"] == await claimed_ids(store, now=NOW + HOUR)
        await settle(store, a_settlement("51"), now=NOW + HOUR)
        assert ["32"] == await claimed_ids(store, now=NOW + HOUR)

    async def test_a_claimed_replay_tells_what_it_repeats(self, store: Store) -> None:
        """And which event it is: its receiver is told both."""
        await replay(store, ("12", "2"), now=NOW + HOUR)
        claimed = {row.id: row for row in await claim(store, now=NOW + HOUR)}

        assert ("event-2", "2") == (
            claimed[DeliveryId("12")].event_id,
            claimed[DeliveryId("12")].replay_of,
        )
        assert ("event-4", None) == (
            claimed[DeliveryId("4")].event_id,
            claimed[DeliveryId("4")].replay_of,
        )

    async def test_a_call_that_is_no_event_has_none(self, store: Store) -> None:
        """Asynchronous targets of requests get deliveries, too."""
        stored = a_stored_event(planned("60"), event=an_event("call-1"))
        call = replace(stored, execution=ExecutionId("request/a.B/C"))
        await append(store, call, NOW)
        claimed = {row.id: row for row in await claim(store, now=NOW + HOUR)}

        assert "" == claimed[DeliveryId("60")].event_id

    async def test_a_scan_may_go_from_the_newest_to_the_oldest(self, store: Store) -> None:
        """Then what depends on another comes before it."""
        search = DeliverySearch(states=(DeliveryState.DELIVERING, DeliveryState.PENDING))
        window = await store.read(
            lambda unit: unit.log_scans.scan(INSTANCE, search, EVERYTHING, 2, newest_first=True)
        )

        assert (["5", "4"], "4") == ([entry.id for entry in window.found], window.reached)

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


async def _replay_in_place(store: Store, new: str, original: str) -> set[str]:
    """Make a replay, and return which dead delivery halted a key that it has now."""

    def work(unit: Unit) -> set[str]:
        replays = [Replay(DeliveryId(new), DeliveryId(original))]
        unit.replays.add(INSTANCE, replays, NOW)
        return set(unit.deliveries.resume_keys(INSTANCE, replays))

    return await store.write(work)
