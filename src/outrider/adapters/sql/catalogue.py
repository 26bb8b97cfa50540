"""What was added to the catalogue, in SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from outrider.adapters.sql.columns import Connection, bump_routing_revision
from outrider.domain.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.ids import InstanceId

# One parameter however many names: a request can hold more than SQLite takes parameters.
_NAMED = (
    " FROM catalogue_entries WHERE instance_id = ? AND (kind, name) IN"
    " (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
)


class SqlCatalogueEntries:
    """`catalogue_port.CatalogueEntries` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, instance: InstanceId, entries: Sequence[Entry]) -> set[EntryName]:
        """See the port."""
        wanted = {each.entry_name for each in entries}
        new = wanted - {each.entry_name for each in self.get_many(instance, wanted)}
        self._connection.executemany(
            "INSERT INTO catalogue_entries (instance_id, kind, name, schema, example)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (instance_id, kind, name)"
            " DO UPDATE SET schema = excluded.schema, example = excluded.example",
            [
                (instance, each.kind.value, each.name, each.schema_json, each.example_json)
                for each in entries
            ],
        )
        if new:
            bump_routing_revision(self._connection)
        return new

    def remember(self, instance: InstanceId, event_types: Collection[str]) -> None:
        """See the port."""
        added = self._connection.executemany(
            "INSERT INTO catalogue_entries (instance_id, kind, name) VALUES (?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(instance, EntryKind.EVENT_TYPE.value, each) for each in event_types],
        ).rowcount
        # Many calls of one burst bring the same new type: only the first changes anything.
        if added > 0:
            bump_routing_revision(self._connection)

    def get_many(self, instance: InstanceId, names: Collection[EntryName]) -> Sequence[Entry]:
        """See the port."""
        wanted = json.dumps([(each.kind.value, each.name) for each in names])
        rows = self._connection.execute(
            f"SELECT kind, name, schema, example{_NAMED}",
            (instance, wanted),
        )
        return [
            Entry(kind=EntryKind(kind), name=name, schema_json=schema, example_json=example)
            for kind, name, schema, example in rows
        ]

    def names(self) -> Mapping[InstanceId, Mapping[EntryKind, frozenset[str]]]:
        """See the port."""
        known: dict[InstanceId, dict[EntryKind, set[str]]] = {}
        query = "SELECT instance_id, kind, name FROM catalogue_entries"
        for instance, kind, name in self._connection.execute(query):
            kinds = known.setdefault(InstanceId(instance), {})
            kinds.setdefault(EntryKind(kind), set()).add(name)
        return {
            instance: {kind: frozenset(names) for kind, names in kinds.items()}
            for instance, kinds in known.items()
        }
