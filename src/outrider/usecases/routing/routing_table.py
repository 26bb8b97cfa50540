"""Routes, catalogue and host names, in memory.

The table is built from the store and replaced after the store's revision has changed: immediately
on the node that changed it, within a second on other nodes. It is replaced as a whole, so that no
reader sees half a change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from outrider.domain.access.instance import host_of
from outrider.domain.ids import ExecutionId, InstanceId
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.catalogue_entry import EntryKind
from outrider.domain.routing.router import Router
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.targets import RoutedTarget


@dataclass(frozen=True, slots=True)
class Routes:
    """One instance's executions: which one is chosen, and its targets in order."""

    router: Router
    targets: Mapping[ExecutionId, tuple[RoutedTarget, ...]]

    def match(self, lookup_id: ExecutionId) -> tuple[ExecutionId | None, tuple[RoutedTarget, ...]]:
        """The chosen execution and its targets; None and no targets when there is none."""
        found = self.router.match(lookup_id)
        if found is None:
            return None, ()
        execution = ExecutionId(found.execution_id)
        return execution, self.targets[execution]


_NO_ROUTES = Routes(Router({}), {})


@dataclass(frozen=True, slots=True)
class _Snapshot:
    revision: int
    routes: Mapping[InstanceId, Routes]
    catalogues: Mapping[InstanceId, Catalogue]
    hosts: Mapping[str, InstanceId]


@dataclass(slots=True)
class Routing:
    """Routes, catalogues and host names of all instances. Call `refresh` before the first use."""

    store: Store
    registered: Catalogue
    _snapshot: _Snapshot | None = None
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _compared_at: float = field(default_factory=time.monotonic)

    def routes(self, instance: InstanceId) -> Routes:
        """The instance's routes as last refreshed."""
        return self._current.routes.get(instance, _NO_ROUTES)

    @property
    def revision(self) -> int:
        """Of the store, as last refreshed: what was loaded under another one may be outdated."""
        return self._current.revision

    @property
    def age(self) -> float:
        """Seconds since it was last compared with the store."""
        return time.monotonic() - self._compared_at

    def catalogue(self, instance: InstanceId) -> Catalogue:
        """What is registered, with what this instance added."""
        return self._current.catalogues.get(instance, self.registered)

    def has_own_entries(self, instance: InstanceId) -> bool:
        """Whether this instance added to the catalogue, or described what is in it."""
        return instance in self._current.catalogues

    def instance_at(self, authority: str) -> InstanceId | None:
        """Whose host name this is, written as in the header `Host`; None: of no instance."""
        hosts = self._current.hosts
        if not hosts:
            return None
        found = hosts.get(authority)
        return found if found is not None else hosts.get(host_of(authority))

    async def refresh(self) -> bool:
        """Bring it up to date with the store; return whether anything had changed.

        Of several at once, one does the work and the others wait for it.
        """
        async with self._refreshing:
            known = -1 if self._snapshot is None else self._snapshot.revision
            began = time.monotonic()
            snapshot = await self.store.read(lambda unit: self._load(unit, known))
            self._compared_at = began
            if snapshot is not None:
                self._snapshot = snapshot
            return snapshot is not None

    async def refresh_after_commit(self) -> None:
        """Refresh after a commit of this node.

        What is stored must not be answered as a failure: when this refresh fails, the next regular
        one catches up.
        """
        with suppress(Exception):
            await self.refresh()

    @property
    def _current(self) -> _Snapshot:
        if self._snapshot is None:
            raise RuntimeError("Routing.refresh was never called")
        return self._snapshot

    def _load(self, unit: Unit, known_revision: int) -> _Snapshot | None:
        revision = unit.routing_revision()
        if revision == known_revision:
            return None
        routes = {
            instance: Routes(_router(executions), executions)
            for instance, executions in unit.executions.routes().items()
        }
        catalogues = {
            instance: _extended(self.registered, names)
            for instance, names in unit.catalogue.names().items()
        }
        return _Snapshot(revision, routes, catalogues, unit.instances.hosts())


def _extended(registered: Catalogue, names: Mapping[EntryKind, frozenset[str]]) -> Catalogue:
    return registered.with_entries(
        methods=names.get(EntryKind.METHOD, ()),
        functions=sorted(names.get(EntryKind.FUNCTION, ())),
        event_types=names.get(EntryKind.EVENT_TYPE, ()),
    )


def _router(executions: Mapping[ExecutionId, tuple[RoutedTarget, ...]]) -> Router:
    return Router({name: [target.id for target in targets] for name, targets in executions.items()})
