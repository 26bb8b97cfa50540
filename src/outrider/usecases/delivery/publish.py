"""Publish events: route in memory, then write events and deliveries in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from outrider.domain.access.permission import Actor
from outrider.domain.delivery.delivery import check_delivery_count, plan_deliveries
from outrider.domain.events.cloud_event import id_with_source
from outrider.domain.events.content import content_of
from outrider.domain.events.event import (
    Event,
    check_event,
    check_payloads,
    is_event_type,
    render,
)
from outrider.domain.hops import check_hops
from outrider.domain.ids import DeliveryId, EventId, InstanceId
from outrider.domain.routing.condition import event_lookup_id
from outrider.errors import AlreadyExists, FailedPrecondition
from outrider.runtime import Runtime
from outrider.usecases.delivery.known_events import Digest, EventWriter, PublishResult
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
class PublishEvents:
    """Accept events. They are on disk, with their deliveries, when this returns."""

    store: Store
    runtime: Runtime
    routing: Routing
    digest: Digest = field(repr=False)
    metrics: PublishMetrics = field(default=NO_METRICS, repr=False)

    async def __call__(self, actor: Actor, events: Sequence[Event]) -> list[PublishResult]:
        """Return one result for each event, in order. When it raises, nothing is stored.

        Raise `InvalidRequest` for what is wrong with an event, and for too many deliveries
        (`check_delivery_count`); `FailedPrecondition` for one that came through too many outriders
        (`check_hops`). An event without an id gets one. A known id with the same content
        (`content_of`) is a duplicate, and makes no second delivery; with another content
        `AlreadyExists` is raised.
        """
        instance = actor.instance_id
        if len(events) > _MANY_EVENTS:
            await asyncio.sleep(0)
        check_payloads(events)
        named, bodies, digests = await self._rendered(instance, events)
        return await self._store(instance, named, bodies, digests)

    async def relayed(
        self, instance: InstanceId, event: Event, body: bytes, content: bytes
    ) -> PublishResult:
        """The same for one event with an id, whose body another server made and which is kept."""
        (published,) = await self._store(instance, [event], [body], [self.digest(content)])
        return published

    async def _store(
        self,
        instance: InstanceId,
        events: Sequence[Event],
        bodies: Sequence[bytes],
        digests: Sequence[bytes],
    ) -> list[PublishResult]:
        self._check_hops(events)
        stored = await self._routed(instance, events, bodies, digests)
        new_types = self._new_event_types(instance, events)

        def write(unit: Unit) -> list[PublishResult]:
            if new_types:
                unit.catalogue.remember(instance, new_types)
            return EventWriter(unit, instance, self.runtime.now(), self.digest).write(stored)

        try:
            results = await self.store.write(write, shared=True, load=_load(instance, stored))
        except AlreadyExists:
            self.metrics.refused("conflict")
            raise
        if new_types:
            await self.routing.refresh_after_commit()
        made = [result.deliveries for result in results if not result.is_duplicate]
        self.metrics.published(len(made), len(results) - len(made), sum(made))
        return results

    def _check_hops(self, events: Sequence[Event]) -> None:
        try:
            check_hops(max((event.hops for event in events), default=0))
        except FailedPrecondition:
            self.metrics.refused("hops")
            raise

    async def _rendered(
        self, instance: InstanceId, events: Sequence[Event]
    ) -> tuple[list[Event], list[bytes], list[bytes]]:
        """Events with ids, bodies, and digests of contents: the thread that commits has no time for it."""
        named: list[Event] = []
        bodies: list[bytes] = []
        digests: list[bytes] = []
        rows = 0
        for position, event in enumerate(events):
            with_id = event if event.id else replace(event, id=self._new_event_id())
            check_event(with_id, position)
            body, payload = render(with_id, instance)
            named.append(with_id)
            bodies.append(body)
            digests.append(self.digest(content_of(with_id, payload)))
            rows += 1 + len(body) // _BYTES_OF_ROW
            if rows > _RENDERED_AT_ONCE:
                rows = 0
                await asyncio.sleep(0)
        return named, bodies, digests

    def _new_event_id(self) -> EventId:
        return EventId(str(self.runtime.new_id()))

    async def _routed(
        self,
        instance: InstanceId,
        events: Sequence[Event],
        bodies: Sequence[bytes],
        digests: Sequence[bytes],
    ) -> list[StoredEvent]:
        routes = self.routing.routes(instance)
        matches = [routes.match(event_lookup_id(event.event_type)) for event in events]
        check_delivery_count([targets for _, targets in matches])
        trace = current_trace()
        stored, planned = [], 0
        for event, body, digest, (execution, targets) in zip(
            events, bodies, digests, matches, strict=True
        ):
            plan = plan_deliveries(
                [
                    (DeliveryId(str(self.runtime.new_id())), target.id, target.is_awaited)
                    for target in targets
                ]
            )
            text = "" if trace is None else trace.text
            stored.append(
                StoredEvent(event, body, execution, plan, text, digest, id_with_source(event))
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
