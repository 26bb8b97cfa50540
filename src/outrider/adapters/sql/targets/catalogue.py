"""Entries of the catalogue in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from outrider.adapters.sql.schema.connection import Connection, bump_routing_revision
from outrider.domain.ids import InstanceId
from outrider.domain.routing.catalogue_entry import (
    Entry,
    EntryKind,
    EntryName,
    changes_routing,
)


class SqlCatalogueEntries:
    """`ports.targets.CatalogueEntries` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, instance: InstanceId, entries: Sequence[Entry]) -> set[EntryName]:
        names = {entry.entry_name for entry in entries}
        stored = {entry.entry_name: entry for entry in self.get_many(instance, names)}
        self._connection.executemany(
            "INSERT INTO catalogue_entries (instance_id, kind, name, schema, example,"
            " response_schema, response_example)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance_id, kind, name)"
            " DO UPDATE SET schema = excluded.schema, example = excluded.example,"
            " response_schema = excluded.response_schema,"
            " response_example = excluded.response_example",
            [
                (instance, entry.kind.value, entry.name, *(text for _, text in entry.descriptions))
                for entry in entries
            ],
        )
        if any(changes_routing(entry, stored.get(entry.entry_name)) for entry in entries):
            bump_routing_revision(self._connection)
        return names - stored.keys()

    def remove(self, instance: InstanceId, names: Collection[EntryName]) -> set[EntryName]:
        found = {entry.entry_name for entry in self.get_many(instance, names)}
        self._connection.executemany(
            "DELETE FROM catalogue_entries WHERE instance_id = ? AND kind = ? AND name = ?",
            [(instance, kind.value, name) for name, kind in sorted(found)],
        )
        if found:
            bump_routing_revision(self._connection)
        return found

    def remember(self, instance: InstanceId, event_types: Collection[str]) -> None:
        added = self._connection.executemany(
            "INSERT INTO catalogue_entries (instance_id, kind, name) VALUES (?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            # In one order: of two nodes that remember the same, one waits for the other.
            [
                (instance, EntryKind.EVENT_TYPE.value, event_type)
                for event_type in sorted(event_types)
            ],
        ).rowcount
        # Many calls of one burst bring the same new type: only the first changes anything.
        if added > 0:
            bump_routing_revision(self._connection)

    def get_many(self, instance: InstanceId, names: Collection[EntryName]) -> Sequence[Entry]:
        texts = [name.name for name in names]
        clause, values = self._connection.dialect.one_of("name", texts)
        rows = self._connection.execute(
            "SELECT kind, name, schema, example, response_schema, response_example"  # noqa: S608 - our names
            " FROM catalogue_entries"
            f" WHERE instance_id = ? AND {clause}",
            (instance, values),
        )
        found = [
            Entry(
                kind=EntryKind(kind),
                name=name,
                schema_json=schema,
                example_json=example,
                response_schema_json=response_schema,
                response_example_json=response_example,
            )
            for kind, name, schema, example, response_schema, response_example in rows
        ]
        exact = set(names)
        return [entry for entry in found if entry.entry_name in exact]

    def names(self) -> Mapping[InstanceId, Mapping[EntryKind, frozenset[str]]]:
        known: dict[InstanceId, dict[EntryKind, set[str]]] = {}
        query = "SELECT instance_id, kind, name FROM catalogue_entries"
        for instance, kind, name in self._connection.execute(query):
            kinds = known.setdefault(InstanceId(instance), {})
            kinds.setdefault(EntryKind(kind), set()).add(name)
        return {
            instance: {kind: frozenset(names) for kind, names in kinds.items()}
            for instance, kinds in known.items()
        }
