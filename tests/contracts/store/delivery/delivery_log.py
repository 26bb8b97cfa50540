"""How every store shows its deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.store.steps import add_pending, add_targets, claim, log_of, settle
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import Delivery, DeliveryState
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, EventId, InstanceId, TargetId
from outrider.usecases.ports.deliveries import StoredEvent
from outrider.usecases.ports.store import Store
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    a_stored_event,
    an_event,
    planned,
)
from support.runtime import NOW

SECOND = timedelta(seconds=1)


async def search(
    store: Store, *, instance: InstanceId = INSTANCE, **filters: Any
) -> Sequence[Delivery]:
    """One page of the log."""
    return await store.read(
        lambda unit: unit.deliveries.search(instance, DeliverySearch(**filters))
    )


async def ids(store: Store, **filters: Any) -> list[str]:
    """Only the ids, newest first."""
    return [row.id for row in await search(store, **filters)]


async def append(store: Store, event: StoredEvent, now: datetime) -> None:
    """Write an event."""
    await store.write(lambda unit: unit.events.append(INSTANCE, [event], now))


class DeliveryLogContract(StoreContract):
    """Finding deliveries, and one with everything."""

    @pytest.fixture
    async def filled(self, store: Store) -> Store:
        """Six deliveries: targets 101 and 102 in turn, three events a second apart, two types."""
        await add_targets(store)
        for place, event_type in enumerate(("user.human.added", "user.human", "user.human.added")):
            event = a_stored_event(
                planned(str(place * 2 + 1), "101"),
                planned(str(place * 2 + 2), "102"),
                event=an_event(f"event-{place}", event_type=event_type),
            )
            await append(store, event, NOW + place * SECOND)
        await claim(store, now=NOW + SECOND, limit=3)
        await settle(store, a_settlement("1"), a_settlement("2", DeliveryState.DEAD))
        return store

    async def test_newest_come_first(self, filled: Store) -> None:
        """By id: identifiers grow with time."""
        assert ["6", "5", "4", "3", "2", "1"] == await ids(filled)

    async def test_ids_sort_as_numbers(self, store: Store) -> None:
        """Ten is newer than nine."""
        await add_targets(store)
        await add_pending(store, *(planned(str(number)) for number in (9, 10, 8, 100)))

        assert ["100", "10", "9", "8"] == await ids(store)

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"states": (DeliveryState.PENDING,)}, ["6", "5", "4"]),
            ({"states": (DeliveryState.DEAD, DeliveryState.DELIVERED)}, ["2", "1"]),
            ({"states": (DeliveryState.CANCELLED,)}, []),
            ({"target_id": TargetId("102")}, ["6", "4", "2"]),
            ({"target_id": TargetId("no id of ours")}, []),
            ({"event_type": "user.human"}, ["4", "3"]),
            ({"event_type": "user"}, []),
            ({"event_id": EventId("event-2")}, ["6", "5"]),
            ({"event_id": EventId("EVENT-2")}, []),
            ({"created_since": NOW + SECOND}, ["6", "5", "4", "3"]),
            ({"created_since": NOW + SECOND / 2}, ["6", "5", "4", "3"]),
            ({"created_until": NOW + SECOND}, ["2", "1"]),
            ({"created_until": NOW + SECOND * 1.5}, ["4", "3", "2", "1"]),
            ({"created_since": NOW + SECOND, "created_until": NOW + 2 * SECOND}, ["4", "3"]),
            ({"before": DeliveryId("4")}, ["3", "2", "1"]),
            ({"before": DeliveryId("1")}, []),
            ({"before": DeliveryId("no id of ours")}, []),
            ({"limit": 2}, ["6", "5"]),
            (
                {
                    "states": (DeliveryState.PENDING, DeliveryState.DELIVERING),
                    "target_id": TargetId("101"),
                    "event_type": "user.human.added",
                    "event_id": EventId("event-2"),
                    "created_since": NOW,
                    "created_until": NOW + 9 * SECOND,
                    "before": DeliveryId("7"),
                    "limit": 9,
                },
                ["5"],
            ),
            ({"target_id": TargetId("101"), "event_id": EventId("event-1"), "limit": 1}, ["3"]),
        ],
        ids=str,
    )
    async def test_filters_are_anded(
        self, filled: Store, filters: dict[str, Any], expected: list[str]
    ) -> None:
        """Each alone and together. `since` is included, `until` is not: ranges do not overlap."""
        assert expected == await ids(filled, **filters)

    async def test_another_instances_deliveries_do_not_exist(self, filled: Store) -> None:
        """Neither in the list, nor by id, nor through its events."""
        assert [] == await ids(filled, instance=ANOTHER_INSTANCE)
        assert [] == await ids(
            filled,
            instance=ANOTHER_INSTANCE,
            event_id=EventId("event-1"),
            target_id=TargetId("101"),
        )
        assert None is await filled.read(
            lambda unit: unit.deliveries.get(ANOTHER_INSTANCE, DeliveryId("1"))
        )

    async def test_a_list_shows_neither_attempts_nor_payloads(self, filled: Store) -> None:
        """A page of a thousand would carry half a gigabyte. All else is there."""
        row = (await search(filled))[-1]
        whole = await log_of(filled, "1")

        assert whole.attempts
        assert whole.payload
        assert replace(whole, attempts=(), payload=b"") == row

    @pytest.mark.parametrize(
        "id_",
        ["", "7", "01", " 1", "1 ", "+1", "-1", "1.0", "1_0", "\u0661", "0x1", "9" * 19, "9" * 999],
    )
    async def test_what_we_never_made_is_not_found(self, filled: Store, id_: str) -> None:
        """One id, one spelling. The caller chooses the text, not which failure we have."""
        assert None is await filled.read(
            lambda unit: unit.deliveries.get(INSTANCE, DeliveryId(id_))
        )

    async def test_walking_the_pages_visits_each_row_once_while_rows_are_added(
        self, store: Store
    ) -> None:
        """New deliveries come in front: the walk neither repeats nor misses what was there."""
        await add_targets(store)
        await add_pending(store, *(planned(str(number)) for number in range(1, 21)))
        seen: list[str] = []
        page = await ids(store, limit=3)
        while page:
            seen += page
            newest = 100 + len(seen)
            await add_pending(store, planned(str(newest)), event=f"event-{newest}")
            page = await ids(store, limit=3, before=DeliveryId(page[-1]))

        assert [str(number) for number in range(20, 0, -1)] == seen
