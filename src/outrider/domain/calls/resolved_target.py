"""A target with everything that a request to it needs."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.domain.access.web_key import SigningWebKey
from outrider.domain.targets.policy import DEFAULT_POLICY, TargetPolicy
from outrider.domain.targets.public_key import PublicKey
from outrider.domain.targets.target import PayloadType, Target

_SIGNED = frozenset({PayloadType.JWT, PayloadType.JWE})


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """A target with its keys and policy, as `target_cache` loads it. No secret in its repr.

    `web_key` is the instance's active one, for the payload types that are signed with it; None
    also when there is none. `public_keys` are all of the target's, for the type JWE.
    """

    target: Target
    public_keys: tuple[PublicKey, ...] = ()
    web_key: SigningWebKey | None = None
    policy: TargetPolicy = DEFAULT_POLICY


def takes_web_key(target: Target) -> bool:
    """Return whether its payloads are signed with the instance's web key."""
    return target.payload_type in _SIGNED


def takes_public_keys(target: Target) -> bool:
    """Return whether its payloads are encrypted to one of its public keys."""
    return target.payload_type == PayloadType.JWE
