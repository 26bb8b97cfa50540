"""Web keys: what an instance signs JWTs with, and publishes for their receivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum

from outrider.domain.ids import WebKeyId
from outrider.errors import FailedPrecondition, Internal, InvalidRequest

RSA_BITS = (2048, 3072, 4096)


class WebKeyState(IntEnum):
    """The state of a key. The numbers are those of `zitadel.webkey.v2.State`."""

    INITIAL = 1
    """Published, and signs nothing yet: receivers learn it before they need it."""
    ACTIVE = 2
    """Signs. An instance has one such key at most."""
    INACTIVE = 3
    """Published for what it has signed."""
    REMOVED = 4
    """Neither signs nor is published; its private part has been deleted."""


class Algorithm(StrEnum):
    """A signature algorithm, by its JOSE name (RFC 7518, section 3.1, and RFC 8037)."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


_BY_HASH = {256: Algorithm.RS256, 384: Algorithm.RS384, 512: Algorithm.RS512}
_BY_CURVE = {"P-256": Algorithm.ES256, "P-384": Algorithm.ES384, "P-521": Algorithm.ES512}


@dataclass(frozen=True, slots=True)
class WebKeyConfig:
    """The algorithm of a key, and the bits of its modulus: 0 for other keys than RSA."""

    algorithm: Algorithm
    rsa_bits: int = 0


DEFAULT_CONFIG = WebKeyConfig(Algorithm.RS256, 2048)
"""RSA 2048 with SHA-256: what a request gets that asks for nothing else."""

FIRST_CONFIGS = (DEFAULT_CONFIG, DEFAULT_CONFIG)
"""What a new instance has: the first is active."""


def rsa_config(bits: int, hash_bits: int) -> WebKeyConfig:
    """Return RSA with SHA-2 of this length. Raise `InvalidRequest` for a length that ZITADEL lacks."""
    if bits not in RSA_BITS:
        raise InvalidRequest(
            "Invalid web key config",
            "CRYPTO-eaz3T",
            reason=f"RSA keys of {bits} bits are not made",
            hint="choose 2048, 3072 or 4096 bits",
        )
    if hash_bits not in _BY_HASH:
        raise InvalidRequest(
            "Invalid web key config",
            "CRYPTO-ODie7",
            reason=f"RSA keys do not sign with SHA-{hash_bits}",
            hint="choose SHA-256, SHA-384 or SHA-512",
        )
    return WebKeyConfig(_BY_HASH[hash_bits], bits)


def ecdsa_config(curve: str) -> WebKeyConfig:
    """ECDSA on a curve of NIST, by its JOSE name. Raise `InvalidRequest` for another."""
    if curve not in _BY_CURVE:
        raise InvalidRequest(
            "Invalid web key config",
            "CRYPTO-Ii2ai",
            reason=f"ECDSA keys on the curve {curve!r} are not made",
            hint="choose P-256, P-384 or P-521",
        )
    return WebKeyConfig(_BY_CURVE[curve])


def ed25519_config() -> WebKeyConfig:
    """Ed25519 leaves nothing to choose."""
    return WebKeyConfig(Algorithm.EDDSA)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key: `public_jwk` as of RFC 7518 without `kid`, `private_key` PKCS #8 in DER."""

    public_jwk: Mapping[str, str]
    private_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebKey:
    """A web key without its private part. `public_jwk` has `kty` and the numbers, nothing else."""

    id: WebKeyId
    config: WebKeyConfig
    state: WebKeyState
    public_jwk: Mapping[str, str]
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningWebKey:
    """A web key with its private part: `private_key` is PKCS #8 in DER."""

    id: WebKeyId
    algorithm: Algorithm
    private_key: bytes = field(repr=False)


def new_web_key(
    config: WebKeyConfig,
    public_jwk: Mapping[str, str],
    web_key_id: WebKeyId,
    *,
    active: WebKey | None,
    now: datetime,
) -> WebKey:
    """Return the new key: ACTIVE when the instance has no active one, else INITIAL."""
    return WebKey(
        id=web_key_id,
        config=config,
        state=WebKeyState.ACTIVE if active is None else WebKeyState.INITIAL,
        public_jwk=public_jwk,
        created_at=now,
        changed_at=now,
    )


def activated(web_key: WebKey, active: WebKey | None, now: datetime) -> Sequence[WebKey]:
    """Return the keys that change when `web_key` becomes the active one, it last.

    The former one becomes INACTIVE. Nothing changes when `web_key` is active already.
    """
    if web_key.state is WebKeyState.ACTIVE:
        return []
    former = [] if active is None else [_with_state(active, WebKeyState.INACTIVE, now)]
    return [*former, _with_state(web_key, WebKeyState.ACTIVE, now)]


def removed(web_key: WebKey, now: datetime) -> WebKey:
    """Return the removed key, or `web_key` itself when it was removed before.

    Raise `FailedPrecondition` for the active key: nothing could be signed any more.
    """
    if web_key.state is WebKeyState.REMOVED:
        return web_key
    if web_key.state is WebKeyState.ACTIVE:
        raise FailedPrecondition(
            "Cannot delete active web key",
            "COMMAND-Chai1",
            reason=f"web key {web_key.id} signs the JWTs of this instance",
            hint="activate another web key first",
        )
    return _with_state(web_key, WebKeyState.REMOVED, now)


def no_active_web_key() -> Internal:
    """The error of what has to be signed while the instance has no active key."""
    return Internal(
        "No active web key found",
        "QUERY-Opoh7",
        reason="the instance has no active web key to sign with",
        hint="make one with CreateWebKey and activate it with ActivateWebKey",
    )


def jwk_of(web_key: WebKey) -> dict[str, str]:
    """Return the key as a member of a JWK set (RFC 7517, section 5)."""
    names = {"kid": str(web_key.id), "alg": web_key.config.algorithm.value, "use": "sig"}
    return {**names, **web_key.public_jwk}


def _with_state(web_key: WebKey, state: WebKeyState, now: datetime) -> WebKey:
    return replace(web_key, state=state, changed_at=now)
