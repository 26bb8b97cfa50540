"""What every store does with events and their deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from contracts.store.steps import add_targets, log_of, states
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import Delivery, DeliveryState
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.errors import AlreadyExists
from outrider.usecases.delivery.known_events import EventWriter, PublishResult
from outrider.usecases.ports.deliveries import KnownEvent, StoredEvent
from outrider.usecases.ports.store import Store, Unit
from support.builders import (
    ANOTHER_INSTANCE,
    DIGEST,
    EVENT_TYPE,
    INSTANCE,
    a_stored_event,
    an_event,
    planned,
    planned_chain,
)
from support.runtime import NOW


async def append(
    store: Store, *events: StoredEvent, instance: InstanceId = INSTANCE
) -> list[int | None]:
    """Write events in one unit of work."""
    return await store.write(lambda unit: unit.events.append(instance, events, NOW))


async def counts(store: Store, *events: str) -> dict[str, int]:
    """How many deliveries those of the events have that are known."""
    event_ids = [EventId(event) for event in events]
    found = await store.read(lambda unit: unit.events.known(INSTANCE, event_ids))
    return {event_id: known.deliveries for event_id, known in found.items()}


def writing(events: Sequence[StoredEvent]) -> Callable[[Unit], list[PublishResult]]:
    """What a publish does in its unit of work."""
    return lambda unit: EventWriter(unit, INSTANCE, NOW, DIGEST).write(events)


class EventsContract(StoreContract):
    """Each id once, whatever happens."""

    async def test_an_event_is_written_with_its_deliveries(self, store: Store) -> None:
        """What the log shows of each, from the first moment."""
        await add_targets(store)
        event = a_stored_event(*planned_chain(("1", "102"), ("2", "101")))

        assert [2] == await append(store, event)
        assert Delivery(
            id=DeliveryId("1"),
            event_id=EventId("event-1"),
            event_type=EVENT_TYPE,
            target_id=TargetId("102"),
            execution=ExecutionId(f"event/{EVENT_TYPE}"),
            state=DeliveryState.PENDING,
            attempt_count=0,
            created_at=NOW,
            next_attempt_at=NOW,
            payload=event.body,
        ) == await log_of(store, "1")
        assert (await log_of(store, "2")).next_attempt_at is None

    async def test_the_body_is_kept_to_the_byte(self, store: Store) -> None:
        """These bytes are signed, on every attempt."""
        body = bytes(range(256)) * 2000
        await add_targets(store)
        event = a_stored_event(planned("1"))
        await append(store, StoredEvent(event.event, body, event.execution, event.deliveries))

        assert body == (await log_of(store, "1")).payload

    async def test_an_event_that_nothing_matches_has_no_delivery(self, store: Store) -> None:
        """It is remembered all the same: its id is taken."""
        assert [0] == await append(store, a_stored_event())
        assert [None] == await append(store, a_stored_event())
        assert {} == await states(store)

    async def test_a_known_id_writes_nothing(self, store: Store) -> None:
        """A publisher that lost the answer asks again; other content does not make it new."""
        await add_targets(store)
        first = a_stored_event(planned("1"))
        again = a_stored_event(planned("2"), planned("3", "102"), event=an_event(sequence=8))
        await append(store, first)

        assert [None] == await append(store, again)
        assert {"1": "PENDING"} == await states(store)
        assert first.body == (await log_of(store, "1")).payload

    async def test_of_two_with_one_id_in_one_call_the_first_counts(self, store: Store) -> None:
        """In the order of the call, between events that are new."""
        await add_targets(store)
        events = [
            a_stored_event(planned("1"), event=an_event("a")),
            a_stored_event(planned("2"), event=an_event("b")),
            a_stored_event(planned("3"), event=an_event("a")),
            a_stored_event(event=an_event("c")),
        ]

        assert [1, 1, None, 0] == await append(store, *events)
        assert {"1": "PENDING", "2": "PENDING"} == await states(store)

    async def test_of_many_calls_with_one_id_one_writes(self, store: Store) -> None:
        """However close together they come."""
        await add_targets(store)
        calls = (append(store, a_stored_event(planned(str(number)))) for number in range(1, 31))
        results = await asyncio.gather(*calls)

        assert 29 == results.count([None])
        assert 1 == results.count([1])
        assert 1 == len(await states(store))

    async def test_calls_with_two_contents_for_one_id_leave_the_others_alone(
        self, store: Store
    ) -> None:
        """They share commits: what is refused takes nothing with it, and leaves nothing behind."""
        payloads = ('{"a":1}', '{"a":2}')

        async def publish(number: int) -> PublishResult | None:
            payload = payloads[number % 2]
            events = [
                a_stored_event(event=an_event(f"own {number}")),
                a_stored_event(event=an_event("contested", payload_json=payload)),
            ]
            try:
                return (await store.write(writing(events), shared=True))[1]
            except AlreadyExists:
                return None

        alone = [a_stored_event(event=an_event(f"alone {number}")) for number in range(30)]
        results, untouched = await asyncio.gather(
            asyncio.gather(*(publish(number) for number in range(30))),
            asyncio.gather(*(store.write(writing([event]), shared=True) for event in alone)),
        )

        stored = [number for number, result in enumerate(results) if result is not None]
        assert 15 == len(stored)
        assert 1 == len({number % 2 for number in stored})
        assert 14 == sum(result is not None and result.is_duplicate for result in results)
        assert [False] * 30 == [result.is_duplicate for [result] in untouched]
        own = await counts(store, *(f"own {number}" for number in range(30)))
        assert [f"own {number}" for number in stored] == list(own)

    async def test_two_instances_may_use_one_event_id(self, store: Store) -> None:
        """Publishers of different tenants do not know of each other."""
        for instance in (INSTANCE, ANOTHER_INSTANCE):
            await add_targets(store, instance=instance)
        await append(store, a_stored_event(planned("1")))
        elsewhere = a_stored_event(planned("2"), instance=ANOTHER_INSTANCE)

        assert [1] == await append(store, elsewhere, instance=ANOTHER_INSTANCE)
        assert {"2": "PENDING"} == await states(store, instance=ANOTHER_INSTANCE)

    async def test_ids_are_compared_exactly(self, store: Store) -> None:
        """Case, spaces and length matter: two ids are two events."""
        ids = ("a", "A", " a", "a ", "ä", "a\u0308", "1", "01", "1.0", "x" * 200)

        assert [0] * 10 == await append(
            store, *(a_stored_event(event=an_event(event_id)) for event_id in ids)
        )

    async def test_counts_say_how_many_deliveries_events_have(self, store: Store) -> None:
        """A duplicate is answered with the number of the first."""
        await add_targets(store)
        await append(
            store,
            a_stored_event(*planned_chain(("1", "101"), ("2", "102")), event=an_event("two")),
            a_stored_event(planned("3"), event=an_event("one")),
            a_stored_event(event=an_event("none")),
        )

        assert {"two": 2, "one": 1, "none": 0} == await counts(
            store, "two", "one", "none", "unknown"
        )

    async def test_counts_are_an_instances_own(self, store: Store) -> None:
        """The same event id elsewhere is another event."""
        await add_targets(store, instance=ANOTHER_INSTANCE)
        await append(store, a_stored_event(planned("1")), instance=ANOTHER_INSTANCE)

        assert {} == await counts(store, "event-1")

    async def test_the_digest_of_an_event_is_kept(self, store: Store) -> None:
        """The first one's, whatever comes under its id; the body stays as it was as well."""
        first = a_stored_event()
        second = a_stored_event(event=an_event(payload_json='{"userName":"c"}'))
        assert first.digest != second.digest
        await append(store, first)
        await append(store, second)
        known = await store.read(lambda unit: unit.events.known(INSTANCE, [first.event.id]))

        assert {first.event.id: KnownEvent(0, first.digest)} == known
        assert first.body == await store.read(
            lambda unit: unit.events.body(INSTANCE, first.event.id)
        )

    async def test_a_cloud_event_is_known_with_its_source_too(self, store: Store) -> None:
        """Another source's event had its id when it came: it is stored under both, and found there."""
        await append(
            store, a_stored_event(event=an_event("7")), a_stored_event(event=an_event("/b#8"))
        )
        again = [
            replace(a_stored_event(event=an_event(number)), id_with_source=EventId(f"/b#{number}"))
            for number in ("7", "8", "9")
        ]

        assert [None, None, 0] == await append(store, *again)
        assert [None, None, None] == await append(store, *again)

    async def test_a_unit_knows_what_it_has_written_itself(self, store: Store) -> None:
        """Of two with one id in one call the second is compared with the first."""

        def work(unit: Unit) -> dict[EventId, KnownEvent]:
            event = a_stored_event()
            unit.events.append(INSTANCE, [event], NOW)
            return unit.events.known(INSTANCE, [event.event.id])

        assert [a_stored_event().digest] == [
            known.digest for known in (await store.write(work)).values()
        ]

    async def test_a_whole_call_is_written_in_one_step(self, store: Store) -> None:
        """A thousand events, the most that one call may carry."""
        await add_targets(store)
        events = [
            a_stored_event(planned(str(number)), event=an_event(f"event-{number}"))
            for number in range(1, 1001)
        ]

        assert [1] * 1000 == await append(store, *events)
        assert ["PENDING"] * 1000 == list((await states(store)).values())

    async def test_a_delivery_to_a_target_deleted_meanwhile_is_written(self, store: Store) -> None:
        """Routing may be a second old; the worker finds the target gone, and cancels."""
        assert [1] == await append(store, a_stored_event(planned("1", "999")))
        assert NOW == await store.read(lambda unit: unit.deliveries.next_due())
        claimed = await store.write(
            lambda unit: unit.deliveries.claim("w", NOW + timedelta(seconds=1), 10)
        )

        assert ["1"] == [delivery.id for delivery in claimed]
