"""JWTs that others sign, and the keys they publish for it.

RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (RSA and EC), RFC 8037 (Ed25519), RFC 8725 (what goes
wrong). A key says which algorithms it is for; what a token's header says about keys, such as `jwk`,
`jku`, `x5c` and `x5u`, is never looked at.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from outrider.domain.access.external_issuer import ALGORITHMS
from outrider.usecases.ports.external_tokens import MAX_KEYS, ExternalJwt, KeySet, UnknownKey

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}
_CLASSES: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
# The private members are left out, should an issuer publish them.
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192
"""RFC 7518, section 3.3; and what takes no millisecond to verify."""
_MAX_RSA_EXPONENT = 2**32
_BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class _Registry(JWSRegistry):
    """Ours accepts what callers have checked, and warns about none of it."""

    # A certificate chain in a header is long. A whole token is 8 KiB at most; the call of another
    # server, whose payload is an event, is as long as any request.
    max_header_length = 8192
    max_payload_length = 4 * 1024 * 1024
    max_signature_length = 2048

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise ValueError("another algorithm")
        return self.algorithms[name]


_REGISTRY = _Registry(strict_check_header=False)


@dataclass(frozen=True, slots=True)
class _PublishedKey:
    kid: str | None
    algorithms: frozenset[str]
    loaded: RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """Implements the port `KeySet`."""

    keys: Sequence[_PublishedKey]

    def verified(self, compact: str, algorithms: frozenset[str]) -> ExternalJwt:
        header = _object(compact.partition(".")[0])
        # Nothing critical is understood here (RFC 7515, section 4.1.11), nor is `b64` (RFC 7797).
        if "crit" in header or "b64" in header:
            raise ValueError("a critical header")
        alg, kid = header.get("alg"), header.get("kid")
        if not isinstance(alg, str) or alg not in algorithms:
            raise ValueError("another algorithm")
        if not isinstance(kid, str | None):
            raise ValueError("an odd name of a key")  # noqa: TRY004 - callers handle one type
        candidates = [published for published in self.keys if kid is None or kid == published.kid]
        if not candidates:
            raise UnknownKey("no such key")
        for published in candidates:
            if alg in published.algorithms and _has_signed(published, compact):
                return ExternalJwt(header, _object(compact.split(".")[1]))
        # A token that names no key may mean the next one.
        raise UnknownKey("no key fits") if kid is None else ValueError("not verified")


class ExternalJwts:
    """Implements the port `JwtParser`."""

    def unverified_issuer(self, compact: str) -> str | None:
        try:
            found = _object(compact.split(".")[1]).get("iss")
        except (ValueError, IndexError):
            return None
        return found if isinstance(found, str) else None

    def key_set(self, document: bytes) -> KeySet:
        try:
            members = json.loads(document)["keys"]
        except _BROKEN:
            raise ValueError("the answer is no JWK set") from None
        if not isinstance(members, list):
            raise ValueError("the answer is no JWK set")  # noqa: TRY004 - callers handle one type
        if len(members) > MAX_KEYS:
            raise ValueError(f"the JWK set has more than {MAX_KEYS} keys")
        published = map(_published, members)
        return PublishedKeys([public_key for public_key in published if public_key is not None])


def _published(member: object) -> _PublishedKey | None:
    """None for what is not understood, or for another use (RFC 7517, sections 4 and 5)."""
    if not isinstance(member, dict) or not _verifies(member):
        return None
    kid = member.get("kid")
    try:
        algorithms = _algorithms(member)
        _check_size(member)
        public = {name: member[name] for name in _PUBLIC if name in member}
        loaded = _CLASSES[member["kty"]].import_key(public)
        # Loading alone says whether a point is on its curve.
        _ = loaded.public_key
    except _BROKEN:
        return None
    if not algorithms or not isinstance(kid, str | None):
        return None
    return _PublishedKey(kid, algorithms, loaded)


def _verifies(member: Mapping[str, Any]) -> bool:
    operations = member.get("key_ops", ["verify"])
    return (
        member.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _algorithms(member: Mapping[str, Any]) -> frozenset[str]:
    if member["kty"] == "RSA":
        fitting = _RSA
    else:
        fitting = frozenset({_BY_CURVE[member["kty"], member["crv"]]})
    return fitting & {member["alg"]} if "alg" in member else fitting


def _check_size(member: Mapping[str, Any]) -> None:
    """Before it is loaded: the library warns about small ones, and large ones take long."""
    if member["kty"] == "RSA":
        bits, exponent = _number(member["n"]).bit_length(), _number(member["e"])
        if not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS or not 1 < exponent <= _MAX_RSA_EXPONENT:
            raise ValueError("too small, or too large")


def _number(text: str) -> int:
    octets = text.encode("ascii")
    return int.from_bytes(b64decode(octets + b"=" * (-len(octets) % 4), b"-_", validate=True))


def _has_signed(published: _PublishedKey, compact: str) -> bool:
    try:
        deserialize_compact(compact.encode("ascii"), published.loaded, registry=_REGISTRY)
    except _BROKEN:
        return False
    return True


def _object(part: str) -> dict[str, Any]:
    """Read a part of a JWT. Raise `ValueError` for what is no JSON object."""
    try:
        octets = part.encode("ascii")
        found = json.loads(b64decode(octets + b"=" * (-len(octets) % 4), b"-_", validate=True))
    except (ValueError, RecursionError):
        raise ValueError("no JWT") from None
    if not isinstance(found, dict):
        raise ValueError("no JWT")  # noqa: TRY004 - callers handle one type
    return found
