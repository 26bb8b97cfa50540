"""Loading what a call needs: the target, and the keys that its payload type takes."""

from __future__ import annotations

from collections.abc import Collection

from outrider.domain.calls.resolved_target import Callee, takes_public_keys, takes_web_key
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import StoredPolicy
from outrider.usecases.ports.store import Unit

_NOTHING_STORED = StoredPolicy()


def load_callees(
    unit: Unit, wanted: Collection[tuple[InstanceId, TargetId]]
) -> dict[tuple[InstanceId, TargetId], Callee]:
    """Return those that exist. Each stays true as long as the routing revision does."""
    targets = unit.targets.get_many(wanted)
    policies = unit.policies.get_many(wanted)
    signers = {instance for (instance, _), each in targets.items() if takes_web_key(each)}
    web_keys = {instance: unit.web_keys.signing(instance) for instance in signers}
    return {
        (instance, target.id): Callee(
            target,
            tuple(unit.public_keys.of_target(instance, target.id))
            if takes_public_keys(target)
            else (),
            web_keys[instance] if takes_web_key(target) else None,
            policies.get((instance, target.id), _NOTHING_STORED).policy,
        )
        for (instance, _), target in targets.items()
    }
