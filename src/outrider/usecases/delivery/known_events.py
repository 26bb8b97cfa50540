"""Ids that come again: the same event, which is a duplicate, or another one, which is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from outrider.domain.events.content import id_is_taken, stored_content, stored_owner
from outrider.domain.ids import EventId, InstanceId
from outrider.usecases.ports.deliveries import KnownEvent, StoredEvent
from outrider.usecases.ports.store import Unit

Digest = Callable[[bytes], bytes]
"""Of a content, keyed: what the store keeps tells nothing about a payload."""


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """How many deliveries an event has; `is_duplicate`: it had them before."""

    deliveries: int
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes the events of one call in one unit of work."""

    unit: Unit
    instance: InstanceId
    now: datetime
    digest: Digest = field(repr=False)

    def write(self, events: Sequence[StoredEvent], first: int = 0) -> list[WrittenEvent]:
        """Return one result for each event. Raise `AlreadyExists` for an id of another event.

        `first` is the position of the first of them in the call, for the error's text.
        """
        counts = self.unit.events.append(self.instance, events, self.now)
        again = [stored for stored, count in zip(events, counts, strict=True) if count is None]
        known = self._known(again) if again else {}
        return [
            WrittenEvent(count, is_duplicate=False)
            if count is not None
            else self._again(stored, position, known)
            for position, (stored, count) in enumerate(zip(events, counts, strict=True), first)
        ]

    def _known(self, events: Sequence[StoredEvent]) -> dict[EventId, KnownEvent]:
        ids = {stored.event.id for stored in events}
        former = {stored.former_id for stored in events if stored.former_id is not None}
        return self.unit.events.known(self.instance, ids | former)

    def _again(
        self, stored: StoredEvent, position: int, known: Mapping[EventId, KnownEvent]
    ) -> WrittenEvent:
        found = known.get(stored.event.id)
        if found is None:
            return self._again_as_former(stored, position, known)
        digest = found.digest
        if digest is None:
            # Of a release that kept none: its body is there as long as the event is.
            body = self.unit.events.body(self.instance, stored.event.id)
            digest = self.digest(stored_content(body))
        if digest != stored.digest:
            raise id_is_taken(stored.event, position)
        return WrittenEvent(found.deliveries, is_duplicate=True)

    def _again_as_former(
        self, stored: StoredEvent, position: int, known: Mapping[EventId, KnownEvent]
    ) -> WrittenEvent:
        """A CloudEvent with the `id` of one that a former release kept under that alone."""
        if stored.former_id is not None and stored.former_id in known:
            body = self.unit.events.body(self.instance, stored.former_id)
            is_same = self.digest(stored_content(body)) == stored.digest
            if is_same and stored_owner(body) == stored.event.resource_owner:
                return WrittenEvent(known[stored.former_id].deliveries, is_duplicate=True)
        # That one has another source. What is in front of this one in its call is written by now.
        return self.write([replace(stored, former_id=None)], position)[0]
