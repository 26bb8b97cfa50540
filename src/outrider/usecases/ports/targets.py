"""The store's part of target policies; `ports.Unit` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.targets.policy import StoredPolicy, TargetPolicy


class TargetPolicies(Protocol):
    """Policies of targets, and which targets are paused. Both go with their target.

    Every change moves the routing revision. Secrets are sealed at rest.
    """

    def get(self, instance: InstanceId, target: TargetId) -> StoredPolicy | None:
        """None when nothing was written: the target has the default and is not paused.

        None for another instance's target and for a deleted one, too.
        """
        ...

    def get_many(
        self, wanted: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], StoredPolicy]:
        """Return those of which something was written."""
        ...

    def put(
        self, instance: InstanceId, target: TargetId, policy: TargetPolicy, at: datetime
    ) -> None:
        """Write it whole, over what is there. Whether the target is paused stays as it is."""
        ...

    def pause(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        """Hold the deliveries of a target: nobody claims them. It stays paused when it was.

        What is being attempted ends with that attempt.
        """
        ...

    def resume(self, instance: InstanceId, target: TargetId) -> None:
        """Let them go on: each is due when it would have been, so most of them at once."""
        ...


class CatalogueEntries(Protocol):
    """What instances added to the catalogue, or described in it."""

    def put(self, instance: InstanceId, entries: Sequence[Entry]) -> set[EntryName]:
        """Write them, over what is there. Return the names that were not there.

        Of two with one name the last one stays.
        """
        ...

    def remember(self, instance: InstanceId, event_types: Collection[str]) -> None:
        """Add event types without a description; known ones are passed over."""
        ...

    def get_many(self, instance: InstanceId, names: Collection[EntryName]) -> Sequence[Entry]:
        """Return those that are there, in any order."""
        ...

    def names(self) -> Mapping[InstanceId, Mapping[EntryKind, frozenset[str]]]:
        """Every name, by instance and kind. A kind without names may be absent."""
        ...
