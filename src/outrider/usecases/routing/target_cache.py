"""Targets in memory, for callers that wait: what was loaded stays until routing has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from outrider.domain.calls.resolved_target import Callee
from outrider.domain.ids import InstanceId, TargetId
from outrider.usecases.ports.store import RoutedTarget, Store
from outrider.usecases.routing.callees import load_callees
from outrider.usecases.routing.routing_table import Routing


@dataclass(slots=True)
class KnownCallees:
    """Loads callees on first use, and again when the routing revision has moved.

    At most `most` are kept: each costs about a kilobyte, and ten with the keys of its payload type.
    """

    store: Store
    routing: Routing
    most: int = 10_000
    _known: dict[tuple[InstanceId, TargetId], Callee] = field(default_factory=dict, repr=False)
    _revision: int = -1

    async def of(self, instance: InstanceId, targets: Sequence[RoutedTarget]) -> list[Callee]:
        """Return the callees in order, without those that were deleted meanwhile."""
        if self._revision != self.routing.revision:
            self._known, self._revision = {}, self.routing.revision
        known = self._known
        wanted = [(instance, each.id) for each in targets]
        found = {name: known[name] for name in wanted if name in known}
        missing = [name for name in wanted if name not in found]
        if missing:
            loaded = await self.store.read(lambda unit: load_callees(unit, missing))
            found.update(loaded)
            # `known` may be outdated by now: then it is only this call that looks at it.
            if len(known) + len(loaded) > self.most:
                known.clear()
            known.update(loaded)
        return [found[name] for name in wanted if name in found]
