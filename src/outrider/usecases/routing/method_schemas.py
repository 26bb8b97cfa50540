"""Schemas for the messages of methods: from the catalogue of the instance, or ZITADEL's types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from outrider.domain.ids import InstanceId
from outrider.domain.interception.proto_description import example_of
from outrider.domain.interception.proto_schema import ProtoSchemas
from outrider.domain.interception.response_check import MessageSchema
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.routing.condition import ConditionKind
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.schemas import InvalidSchema, SchemaCompiler
from outrider.usecases.ports.store import Store
from outrider.usecases.routing.routing_table import Routing

_ZITADEL = "/zitadel."
_Cached = dict[tuple[InstanceId, str, ConditionKind], MessageSchema | None]


@dataclass(slots=True)
class MethodSchemas:
    """Finds the schema of a method on first use, and again when the routing revision has moved.

    `registered` reads ZITADEL's message types; it is called when a method needs them first. At most
    `most` methods are kept.
    """

    store: Store
    routing: Routing
    compiler: SchemaCompiler
    registered: Callable[[], ProtoSchemas]
    log: Log
    most: int = 10_000
    _known: _Cached = field(default_factory=dict, repr=False)
    _revision: int = -1

    async def of(
        self, instance: InstanceId, full_method: str, kind: ConditionKind
    ) -> MessageSchema | None:
        """Return the schema of a request or a response; None: the catalogue has none."""
        if self._revision != self.routing.revision:
            self._known, self._revision = {}, self.routing.revision
        known = self._known
        name = (instance, full_method, kind)
        if name not in known:
            found = await self._own(instance, full_method, kind) or self._registered(
                full_method, kind
            )
            if len(known) >= self.most:
                known.clear()
            # `known` may be outdated by now: then only this call reads it.
            known[name] = found
            return found
        return known[name]

    async def _own(
        self, instance: InstanceId, full_method: str, kind: ConditionKind
    ) -> MessageSchema | None:
        if not self.routing.has_own_entries(instance):
            return None
        name = EntryName(full_method, EntryKind.METHOD)
        entries = await self.store.read(lambda unit: unit.catalogue.get_many(instance, [name]))
        text, is_of_request = _schema_of(entries[0], kind) if entries else (None, False)
        if text is None:
            return None
        try:
            return self.compiler.compile(text, is_of_request=is_of_request)
        except InvalidSchema as invalid:
            # It was added by an earlier release, which took every object.
            self.log.warning(
                "schema.rejected", instance=instance, method=full_method, error=str(invalid)
            )
            return None

    def example(self, full_method: str, kind: ConditionKind) -> str | None:
        """Return an example of ZITADEL's message, as JSON; None: the method is not ZITADEL's."""
        if not full_method.startswith(_ZITADEL):
            return None
        registered = self.registered()
        index = registered.index_of(full_method, kind)
        return None if index is None else example_of(registered, index)

    def _registered(self, full_method: str, kind: ConditionKind) -> MessageSchema | None:
        # An application's own methods must not make it read what only ZITADEL's need.
        if not full_method.startswith(_ZITADEL):
            return None
        return self.registered().of(full_method, kind)


def _schema_of(entry: Entry, kind: ConditionKind) -> tuple[str | None, bool]:
    """The schema for the requests or responses of a method, and whether it is the request's own."""
    if kind is ConditionKind.RESPONSE and entry.response_schema_json is not None:
        return entry.response_schema_json, False
    return entry.schema_json, kind is ConditionKind.RESPONSE
