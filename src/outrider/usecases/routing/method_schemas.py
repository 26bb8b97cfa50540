"""What the catalogue knows about the messages of methods: a schema of their own, or ZITADEL's types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from outrider.domain.ids import InstanceId
from outrider.domain.interception.proto_schema import ProtoSchemas
from outrider.domain.interception.response_check import MessageSchema
from outrider.domain.routing.catalogue_entry import EntryKind, EntryName
from outrider.domain.routing.condition import ConditionKind
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.schemas import InvalidSchema, SchemaCompiler
from outrider.usecases.ports.store import Store
from outrider.usecases.routing.routing_table import Routing

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
        text = entries[0].schema_json if entries else None
        if text is None:
            return None
        try:
            return self.compiler.compile(text, kind)
        except InvalidSchema as invalid:
            # It was added by an earlier release, which took every object.
            self.log.warning(
                "schema.rejected", instance=instance, method=full_method, error=str(invalid)
            )
            return None

    def _registered(self, full_method: str, kind: ConditionKind) -> MessageSchema | None:
        # An application's own methods must not make it read what only ZITADEL's need.
        if not full_method.startswith("/zitadel."):
            return None
        return self.registered().of(full_method, kind)
