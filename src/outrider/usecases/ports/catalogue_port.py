"""The store's part of the catalogue; `ports.Unit` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from outrider.domain.ids import InstanceId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName


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
