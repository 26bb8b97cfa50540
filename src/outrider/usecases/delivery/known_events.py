"""Ids that come again: the same event, which is a duplicate, or another one, which is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from outrider.domain.events.content import id_is_taken, stored_contents, stored_owner
from outrider.domain.ids import EventId, InstanceId
from outrider.usecases.ports.deliveries import KnownEvent, StoredEvent
from outrider.usecases.ports.store import Unit

Digest = Callable[[bytes], bytes]
"""Of a content, keyed: what the store keeps tells nothing about a payload."""


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result for one event: the number of its deliveries, and whether its id was known."""

    id: EventId
    deliveries: int
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes the events of one call in one unit of work."""

    unit: Unit
    instance: InstanceId
    now: datetime
    digest: Digest = field(repr=False)

    def write(self, events: Sequence[StoredEvent], first: int = 0) -> list[PublishResult]:
        """Return one result for each event. Raise `AlreadyExists` for an id of another event.

        `first` is the position of the first of them in the call, for the error's text.
        """
        counts = self.unit.events.append(self.instance, events, self.now)
        again = [stored for stored, count in zip(events, counts, strict=True) if count is None]
        known = self._known(again) if again else {}
        return [
            PublishResult(stored.event.id, count, is_duplicate=False)
            if count is not None
            else self._again(stored, position, known)
            for position, (stored, count) in enumerate(zip(events, counts, strict=True), first)
        ]

    def _known(self, events: Sequence[StoredEvent]) -> Mapping[EventId, KnownEvent]:
        ids = {stored.event.id for stored in events}
        with_source = {stored.id_with_source for stored in events} - {None}
        return self.unit.events.known(self.instance, [*ids, *filter(None, with_source)])

    def _again(
        self, stored: StoredEvent, position: int, known: Mapping[EventId, KnownEvent]
    ) -> PublishResult:
        event_id = stored.event.id
        if stored.id_with_source is not None:
            if stored.id_with_source in known:
                event_id = stored.id_with_source
            elif not self._has_owner(event_id, stored.event.resource_owner):
                return self._write_with_source(stored, stored.id_with_source, position)
        if not self._is_same(stored, event_id, known[event_id].digest):
            raise id_is_taken(stored.event, position)
        return PublishResult(event_id, known[event_id].deliveries, is_duplicate=True)

    def _is_same(self, stored: StoredEvent, event_id: EventId, digest: bytes | None) -> bool:
        if digest is not None:
            return digest == stored.digest
        # Of a release that kept none: its body is there as long as the event is.
        body = self.unit.events.body(self.instance, event_id)
        return stored.digest in map(self.digest, stored_contents(body))

    def _has_owner(self, event_id: EventId, owner: str) -> bool:
        return stored_owner(self.unit.events.body(self.instance, event_id)) == owner

    def _write_with_source(
        self, stored: StoredEvent, event_id: EventId, position: int
    ) -> PublishResult:
        """Another source's event has the id: it is told apart by the source."""
        named = replace(stored, event=replace(stored.event, id=event_id), id_with_source=None)
        return self.write([named], position)[0]
