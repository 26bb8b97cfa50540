"""Targets in memory, for callers that wait: what was loaded stays until routing has changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from outrider.domain.calls.resolved_target import ResolvedTarget, takes_public_keys, takes_web_key
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import StoredPolicy
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.routing.routing_table import Routing

_NOTHING_STORED = StoredPolicy()


def load_resolved_targets(
    unit: Unit, wanted: Collection[tuple[InstanceId, TargetId]]
) -> dict[tuple[InstanceId, TargetId], ResolvedTarget]:
    """Return those that exist. Each stays true as long as the routing revision does."""
    targets = unit.targets.get_many(wanted)
    policies = unit.policies.get_many(wanted)
    signers = {instance for (instance, _), each in targets.items() if takes_web_key(each)}
    web_keys = {instance: unit.web_keys.signing(instance) for instance in signers}
    return {
        (instance, target.id): ResolvedTarget(
            target,
            tuple(unit.public_keys.of_target(instance, target.id))
            if takes_public_keys(target)
            else (),
            web_keys[instance] if takes_web_key(target) else None,
            policies.get((instance, target.id), _NOTHING_STORED).policy,
        )
        for (instance, _), target in targets.items()
    }


@dataclass(slots=True)
class ResolvedTargetCache:
    """Loads resolved targets on first use, and again when the routing revision has moved.

    At most `most` are kept: each costs about a kilobyte, and ten with the keys of its payload type.
    """

    store: Store
    routing: Routing
    most: int = 10_000
    _known: dict[tuple[InstanceId, TargetId], ResolvedTarget] = field(
        default_factory=dict, repr=False
    )
    _revision: int = -1

    async def of(
        self, instance: InstanceId, targets: Sequence[RoutedTarget]
    ) -> list[ResolvedTarget]:
        """Return the resolved targets in order, without those that were deleted meanwhile."""
        if self._revision != self.routing.revision:
            self._known, self._revision = {}, self.routing.revision
        known = self._known
        wanted = [(instance, target.id) for target in targets]
        found = {name: known[name] for name in wanted if name in known}
        missing = [name for name in wanted if name not in found]
        if missing:
            loaded = await self.store.read(lambda unit: load_resolved_targets(unit, missing))
            found.update(loaded)
            # `known` may be outdated by now: then it is only this call that looks at it.
            if len(known) + len(loaded) > self.most:
                known.clear()
            known.update(loaded)
        return [found[name] for name in wanted if name in found]
