"""The catalogue: what conditions may name, and what describes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from outrider.domain.access.permission import Actor
from outrider.domain.formats import go_json
from outrider.domain.ids import ExecutionId, InstanceId
from outrider.domain.interception.function_example import FUNCTION_EXAMPLES
from outrider.domain.interception.proto_description import example_of, json_schema_of
from outrider.domain.interception.proto_schema import ProtoSchemas
from outrider.domain.page import DEFAULT_LIMIT
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.catalogue_entry import (
    Entry,
    EntryKind,
    EntryName,
    check_entry,
    names_after,
)
from outrider.domain.routing.condition import ConditionKind, condition_from_id, exists
from outrider.errors import FailedPrecondition, InvalidRequest
from outrider.usecases.ports.schemas import InvalidSchema, SchemaCompiler
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing

PAGE_BYTES = 1024 * 1024
"""A page ends with the entry that takes its schemas and examples over this, however many it has.

Clients of gRPC take messages of 4 MiB unless they are told otherwise.
"""

_BATCH = 50
_MAX_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySearch:
    """A search for entries. No kind means all of them; `limit` 0 is the default.

    `after` is the last entry of the page before.
    """

    kinds: Collection[EntryKind] = ()
    prefix: str = ""
    after: EntryName | None = None
    limit: int = 0
    describes_built_in: bool = False
    """Whether what is built in has schemas and examples as well: they are long."""


@dataclass(frozen=True, slots=True)
class ManageCatalogue:
    """Add, find and remove entries of the actor's instance.

    `schemas` reads ZITADEL's message types; it is called when they are asked for first.
    """

    store: Store
    routing: Routing
    compiler: SchemaCompiler
    schemas: Callable[[], ProtoSchemas]

    async def add(self, actor: Actor, entries: Sequence[Entry]) -> int:
        """Add entries, or describe known ones again; return how many were not known before.

        Executions can be set for them when this returns. When it raises `InvalidRequest`, it has
        added none.
        """
        for position, entry in enumerate(entries):
            check_entry(entry, position)
            self._check_schema(entry, position)
        new = await self.routing.write(
            lambda unit: unit.catalogue.put(actor.instance_id, entries),
            load=Load(actor.instance_id, len(entries)),
        )
        return sum(not _contains(self.routing.registered, name) for name in new)

    def _check_schema(self, entry: Entry, position: int) -> None:
        """Answers are checked against the schemas of methods: those must be usable."""
        if entry.kind is not EntryKind.METHOD:
            return
        given = {"Schema": entry.schema_json, "ResponseSchema": entry.response_schema_json}
        for name, text in given.items():
            try:
                if text is not None:
                    self.compiler.compile(text)
            except InvalidSchema as invalid:
                raise InvalidRequest(
                    f"invalid AddEntriesRequest.Entries[{position}].{name}: value must be a JSON"
                    f" Schema that answers can be checked against: {invalid}"
                ) from None

    async def remove(self, actor: Actor, names: Sequence[EntryName]) -> int:
        """Remove entries that the instance added; return how many there were.

        Of what is built in this removes what the instance said about it. Raise
        `FailedPrecondition` for what is built in and not described, and for what an execution
        needs: then nothing is removed. Unknown names are passed over.
        """
        instance = actor.instance_id
        await self.routing.refresh()
        stored = await self.store.read(lambda unit: unit.catalogue.get_many(instance, names))
        described = {entry.entry_name for entry in stored if entry.is_described}
        for position, name in enumerate(names):
            if _contains(self.routing.registered, name) and name not in described:
                raise FailedPrecondition(
                    f"RemoveEntriesRequest.Entries[{position}]: {name.name} is built in, and every"
                    " instance has it"
                )
        bound = self._bound_without(instance, names)
        if bound:
            raise FailedPrecondition(
                f"an execution is set for what would be removed: {_some(bound)}; set it to no"
                " targets first"
            )
        gone = await self.routing.write(
            lambda unit: unit.catalogue.remove(instance, names),
            load=Load(instance, len(names)),
        )
        return len(gone)

    def _bound_without(
        self, instance: InstanceId, names: Iterable[EntryName]
    ) -> Sequence[ExecutionId]:
        """Return the executions whose conditions would name nothing without these entries."""
        of_kind: dict[EntryKind, set[str]] = {entry_kind: set() for entry_kind in EntryKind}
        for name, entry_kind in names:
            of_kind[entry_kind].add(name)
        before = self.routing.catalogue(instance)
        after = before.without(
            methods=of_kind[EntryKind.METHOD],
            functions=of_kind[EntryKind.FUNCTION],
            event_types=of_kind[EntryKind.EVENT_TYPE],
            kept=self.routing.registered,
        )
        conditions = map(condition_from_id, self.routing.routes(instance).targets)
        return sorted(
            condition.execution_id
            for condition in conditions
            if exists(condition, before) and not exists(condition, after)
        )

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
        describe = self._described if query.describes_built_in else _undescribed
        entries = await self.store.read(
            lambda unit: _page(unit, actor, page, self.routing.registered, describe)
        )
        is_last = len(entries) == len(names)
        return entries, None if is_last else entries[-1].entry_name

    def _described(self, entry: Entry) -> Entry:
        """Return a built-in entry, described by ZITADEL's messages or the payload of its function."""
        if entry.kind is EntryKind.FUNCTION:
            example = FUNCTION_EXAMPLES.get(entry.name)
            return replace(entry, example_json=go_json.dumps(example)) if example else entry
        schemas = self.schemas()
        request = schemas.index_of(entry.name, ConditionKind.REQUEST)
        response = schemas.index_of(entry.name, ConditionKind.RESPONSE)
        if request is None or response is None:
            return entry
        return replace(
            entry,
            schema_json=json_schema_of(schemas, request),
            example_json=example_of(schemas, request),
            response_schema_json=json_schema_of(schemas, response),
            response_example_json=example_of(schemas, response),
        )


def _undescribed(entry: Entry) -> Entry:
    return entry


def _page(
    unit: Unit,
    actor: Actor,
    names: Sequence[EntryName],
    registered: Catalogue,
    describe: Callable[[Entry], Entry],
) -> list[Entry]:
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
            if _contains(registered, name):
                entry = replace(entry, is_built_in=True)
                entry = entry if entry.is_described else describe(entry)
            entries.append(entry)
            size += entry.description_size
            if size > PAGE_BYTES:
                return entries
    return entries


def _some(executions: Sequence[ExecutionId]) -> str:
    more = f" and {len(executions) - _MAX_NAMED} more" if len(executions) > _MAX_NAMED else ""
    return ", ".join(executions[:_MAX_NAMED]) + more


def _contains(catalogue: Catalogue, entry: EntryName) -> bool:
    has = {
        EntryKind.METHOD: catalogue.has_method,
        EntryKind.FUNCTION: catalogue.has_function,
        EntryKind.EVENT_TYPE: catalogue.has_event_type,
    }
    return has[entry.kind](entry.name)
