"""Entries of the catalogue in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fakes.memory.tables import Tables
from outrider.domain.ids import InstanceId
from outrider.domain.routing.catalogue_entry import (
    Entry,
    EntryKind,
    EntryName,
    changes_routing,
)


class MemoryCatalogueEntries:
    """`ports.targets.CatalogueEntries` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, instance: InstanceId, entries: Sequence[Entry]) -> set[EntryName]:
        named = {(instance, entry.entry_name): entry for entry in entries}
        stored = self._tables.entries
        new = {name for _, name in named.keys() - stored.keys()}
        changes = any(changes_routing(entry, stored.get(name)) for name, entry in named.items())
        self._tables.entries |= named
        if changes:
            self._tables.routing_revision += 1
        return new

    def remove(self, instance: InstanceId, names: Collection[EntryName]) -> set[EntryName]:
        found = {name for name in names if (instance, name) in self._tables.entries}
        if found:
            gone = {(instance, name) for name in found}
            kept = {name: one for name, one in self._tables.entries.items() if name not in gone}
            self._tables.entries = kept
            self._tables.routing_revision += 1
        return found

    def remember(self, instance: InstanceId, event_types: Collection[str]) -> None:
        entries = [Entry(kind=EntryKind.EVENT_TYPE, name=name) for name in event_types]
        known = self._tables.entries.keys()
        self.put(
            instance, [entry for entry in entries if (instance, entry.entry_name) not in known]
        )

    def get_many(self, instance: InstanceId, names: Collection[EntryName]) -> Sequence[Entry]:
        entries = self._tables.entries
        return [entries[instance, name] for name in names if (instance, name) in entries]

    def names(self) -> Mapping[InstanceId, Mapping[EntryKind, frozenset[str]]]:
        known: dict[InstanceId, dict[EntryKind, frozenset[str]]] = {}
        for instance, (name, kind) in self._tables.entries:
            kinds = known.setdefault(instance, {})
            kinds[kind] = kinds.get(kind, frozenset()) | {name}
        return known
