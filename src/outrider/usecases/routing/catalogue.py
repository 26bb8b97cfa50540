"""The catalogue: what conditions may name, and what describes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from outrider.domain.access.permission import Actor
from outrider.domain.page import DEFAULT_LIMIT
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.catalogue_entry import (
    Entry,
    EntryKind,
    EntryName,
    check_entry,
    names_after,
)
from outrider.domain.routing.condition import ConditionKind
from outrider.errors import InvalidRequest
from outrider.usecases.ports.schemas import InvalidSchema, SchemaCompiler
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing

PAGE_BYTES = 1024 * 1024
"""A page ends with the entry that takes its schemas and examples over this, however many it has.

Clients of gRPC take messages of 4 MiB unless they are told otherwise.
"""

_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySearch:
    """Which entries to find. No kind means all of them; `limit` 0 is the default.

    `after` is the last entry of the page before.
    """

    kinds: Collection[EntryKind] = ()
    prefix: str = ""
    after: EntryName | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class ManageCatalogue:
    """Add and find entries of the actor's instance."""

    store: Store
    routing: Routing
    compiler: SchemaCompiler

    async def add(self, actor: Actor, entries: Sequence[Entry]) -> int:
        """Add entries, or describe known ones again; return how many were not known before.

        Executions can be set for them when this returns. When it raises `InvalidRequest`, it has
        added none.
        """
        for position, entry in enumerate(entries):
            check_entry(entry, position)
            self._check_schema(entry, position)
        new = await self.store.write(
            lambda unit: unit.catalogue.put(actor.instance_id, entries),
            load=Load(actor.instance_id, len(entries)),
        )
        await self.routing.refresh()
        return sum(not _contains(self.routing.registered, name) for name in new)

    def _check_schema(self, entry: Entry, position: int) -> None:
        """Answers are checked against the schemas of methods: those must be usable."""
        if entry.kind is not EntryKind.METHOD or entry.schema_json is None:
            return
        try:
            self.compiler.compile(entry.schema_json, ConditionKind.REQUEST)
        except InvalidSchema as invalid:
            reason = f"value must be a JSON Schema that answers can be checked against: {invalid}"
            raise InvalidRequest(
                f"invalid AddEntriesRequest.Entries[{position}].Schema: {reason}"
            ) from None

    async def search(
        self, actor: Actor, query: EntrySearch
    ) -> tuple[Sequence[Entry], EntryName | None]:
        """One page in the order of names, and where the next one begins after; None: the last."""
        limit = query.limit or DEFAULT_LIMIT
        names = names_after(
            self.routing.catalogue(actor.instance_id),
            set(query.kinds) or set(EntryKind),
            query.prefix,
            query.after,
            limit + 1,
        )
        page = names[:limit]
        entries = await self.store.read(lambda unit: _described(unit, actor, page))
        is_last = len(entries) == len(names)
        return entries, None if is_last else entries[-1].entry_name


def _described(unit: Unit, actor: Actor, names: Sequence[EntryName]) -> list[Entry]:
    """The entries of these names, at least one, up to the one that fills the page."""
    entries: list[Entry] = []
    size = 0
    rest = iter(names)
    while batch := list(islice(rest, _BATCH)):
        stored = {
            entry.entry_name: entry for entry in unit.catalogue.get_many(actor.instance_id, batch)
        }
        for name in batch:
            entry = stored.get(name) or Entry(kind=name.kind, name=name.name)
            entries.append(entry)
            size += entry.description_size
            if size > PAGE_BYTES:
                return entries
    return entries


def _contains(catalogue: Catalogue, entry: EntryName) -> bool:
    has = {
        EntryKind.METHOD: catalogue.has_method,
        EntryKind.FUNCTION: catalogue.has_function,
        EntryKind.EVENT_TYPE: catalogue.has_event_type,
    }
    return has[entry.kind](entry.name)
