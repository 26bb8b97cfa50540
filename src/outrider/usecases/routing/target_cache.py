"""Resolved targets in memory, for interceptions; valid until the routing revision changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from outrider.domain.calls.resolved_target import ResolvedTarget, takes_public_keys, takes_web_key
from outrider.domain.delivery.target_queue import TargetKey
from outrider.domain.ids import InstanceId
from outrider.domain.targets.policy import StoredPolicy
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.routing.routing_table import Routing

_NOTHING_STORED = StoredPolicy()


def load_resolved_targets(
    unit: Unit, target_keys: Collection[TargetKey]
) -> dict[TargetKey, ResolvedTarget]:
    """Return those that exist. They are valid as long as the routing revision stays the same."""
    targets = unit.targets.get_many(target_keys)
    policies = unit.policies.get_many(target_keys)
    signers = {instance for (instance, _), target in targets.items() if takes_web_key(target)}
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
    _known: dict[TargetKey, ResolvedTarget] = field(default_factory=dict, repr=False)
    _revision: int = -1

    async def of(
        self, instance: InstanceId, targets: Sequence[RoutedTarget]
    ) -> list[ResolvedTarget]:
        """Return the resolved targets in order, without those that were deleted meanwhile."""
        if self._revision != self.routing.revision:
            self._known, self._revision = {}, self.routing.revision
        known = self._known
        target_keys = [(instance, target.id) for target in targets]
        found = {target_key: known[target_key] for target_key in target_keys if target_key in known}
        missing = [target_key for target_key in target_keys if target_key not in found]
        if missing:
            loaded = await self.store.read(lambda unit: load_resolved_targets(unit, missing))
            found.update(loaded)
            # `known` may be outdated by now: then only this call reads it.
            if len(known) + len(loaded) > self.most:
                known.clear()
            known.update(loaded)
        return [found[target_key] for target_key in target_keys if target_key in found]
