"""Publishing: route in memory, then events and deliveries in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from outrider.domain.access.permission import Actor
from outrider.domain.delivery.delivery import check_delivery_count, plan_deliveries
from outrider.domain.events.event import Event, check_payloads, checked_body, is_event_type
from outrider.domain.ids import DeliveryId, EventId, InstanceId
from outrider.domain.routing.condition import event_lookup_id
from outrider.runtime import Runtime
from outrider.usecases.ports.deliveries import StoredEvent
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.ports.telemetry import NO_METRICS, PublishMetrics
from outrider.usecases.ports.tracing import current_trace
from outrider.usecases.routing.routing_table import Routing

# After so many deliveries are planned, others have the event loop: it takes a millisecond.
_PLANNED_AT_ONCE = 500
# So much of a body takes as long to write as a row.
_BYTES_OF_ROW = 4096
# After so many rows' worth of bodies others have the event loop: it takes a millisecond.
_RENDERED_AT_ONCE = 100
# A call of so many events took milliseconds to read: others have the event loop before it goes on.
_MANY_EVENTS = 100


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What became of one event: how many deliveries it has, and whether its id was known."""

    id: EventId
    deliveries: int
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class PublishEvents:
    """Accept events. They are on disk, with their deliveries, when this returns."""

    store: Store
    runtime: Runtime
    routing: Routing
    metrics: PublishMetrics = field(default=NO_METRICS, repr=False)

    async def __call__(self, actor: Actor, events: Sequence[Event]) -> list[PublishResult]:
        """Return one result for each event, in order. Raise `InvalidRequest`: nothing is stored.

        That is raised for too many deliveries (`check_delivery_count`), too. An event without an id
        gets one. A known id is a duplicate whatever its content, and makes no second delivery.
        """
        instance = actor.instance_id
        if len(events) > _MANY_EVENTS:
            await asyncio.sleep(0)
        check_payloads(events)
        named, bodies = await self._rendered(instance, events)
        return await self._store(instance, named, bodies)

    async def relayed(self, instance: InstanceId, event: Event, body: bytes) -> PublishResult:
        """The same for one event with an id, whose body another server made and which is kept."""
        (published,) = await self._store(instance, [event], [body])
        return published

    async def _store(
        self, instance: InstanceId, events: Sequence[Event], bodies: Sequence[bytes]
    ) -> list[PublishResult]:
        stored = await self._routed(instance, events, bodies)
        new_types = self._new_event_types(instance, events)

        def append(unit: Unit) -> tuple[list[int | None], dict[EventId, int]]:
            if new_types:
                unit.catalogue.remember(instance, new_types)
            written = unit.events.append(instance, stored, self.runtime.now())
            known = [
                event.id for event, count in zip(events, written, strict=True) if count is None
            ]
            return written, unit.events.delivery_counts(instance, known) if known else {}

        written, counts = await self.store.write(append, shared=True, load=_load(instance, stored))
        if new_types:
            await self.routing.refresh_after_commit()
        made = [count for count in written if count is not None]
        self.metrics.published(len(made), len(written) - len(made), sum(made))
        return [
            PublishResult(
                event.id, counts.get(event.id, 0) if count is None else count, count is None
            )
            for event, count in zip(events, written, strict=True)
        ]

    async def _rendered(
        self, instance: InstanceId, events: Sequence[Event]
    ) -> tuple[list[Event], list[bytes]]:
        named: list[Event] = []
        bodies: list[bytes] = []
        rows = 0
        for position, event in enumerate(events):
            with_id = event if event.id else replace(event, id=self._new_event_id())
            body = checked_body(with_id, instance, position)
            named.append(with_id)
            bodies.append(body)
            rows += 1 + len(body) // _BYTES_OF_ROW
            if rows > _RENDERED_AT_ONCE:
                rows = 0
                await asyncio.sleep(0)
        return named, bodies

    def _new_event_id(self) -> EventId:
        return EventId(str(self.runtime.new_id()))

    async def _routed(
        self, instance: InstanceId, events: Sequence[Event], bodies: Sequence[bytes]
    ) -> list[StoredEvent]:
        routes = self.routing.routes(instance)
        matches = [routes.match(event_lookup_id(event.event_type)) for event in events]
        check_delivery_count([targets for _, targets in matches])
        trace = current_trace()
        stored, planned = [], 0
        for event, body, (execution, targets) in zip(events, bodies, matches, strict=True):
            plan = plan_deliveries(
                [
                    (DeliveryId(str(self.runtime.new_id())), target.id, target.is_awaited)
                    for target in targets
                ]
            )
            stored.append(
                StoredEvent(event, body, execution, plan, "" if trace is None else trace.text)
            )
            planned += len(plan)
            if planned > _PLANNED_AT_ONCE:
                planned = 0
                await asyncio.sleep(0)
        return stored

    def _new_event_types(self, instance: InstanceId, events: Sequence[Event]) -> set[str]:
        catalogue = self.routing.catalogue(instance)
        return {
            event.event_type
            for event in events
            # Relayed ones may have any type, and no execution can be set for some.
            if not catalogue.has_event_type(event.event_type) and is_event_type(event.event_type)
        }


def _load(instance: InstanceId, events: Sequence[StoredEvent]) -> Load:
    size = sum(len(stored.body) for stored in events)
    rows = sum(len(stored.deliveries) for stored in events)
    return Load(instance, len(events) + rows + size // _BYTES_OF_ROW)
