"""The payload types JWT and JWE, opened: `pip install outrider-receiver[jose]`.

    tokens = Tokens(Jwks.of_issuer("https://auth.example.com"), private_keys={"321": pem})
    receiver = Receiver(signing_keys=..., tokens=tokens)

A JWT is a compact JWS (RFC 7515) of the payload by one of the issuer's web keys. A JWE (RFC 7516) is
that JWS encrypted to a public key whose private half is here, and nothing else: what is inside is
not opened again. The payload has no `exp`, and neither has the token: the signature header, which
covers the token, carries the time.

A token says which key it is for, by `kid`, and nothing else of what it says about keys is read. The
key says which algorithms may be: RSA and EC keys of at least RFC 7518's sizes, and Ed25519. `none`,
HMAC and passwords are not among them, nothing is decompressed, and every part is bounded before it
is decoded.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwe import JWERegistry, decrypt_compact
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from outrider_receiver._refusal import InvalidCall, Reason
from outrider_receiver.jwks import Jwk, KeySource

MAX_TOKEN_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 4096
_MAX_KID_CHARS = 256
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 4096
"""RFC 7518, section 3.3; and what an RSA operation of 10 ms reaches."""
_MAX_RSA_EXPONENT = 2**32

_FOR_RSA, _FOR_EC, _CONTENT = "RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_RSA = frozenset({"RS256", "RS384", "RS512"})
_BY_CURVE = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}
_CLASSES: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")
_EPHEMERAL = {"kty", "crv", "x", "y"}
# Of these, two change what the token means, and the others say where a key is.
_REFUSED = ("crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "p2s", "p2c")
_JWS_PARTS, _JWE_PARTS = 3, 5


class _Signing(JWSRegistry):
    """Takes payloads as large as they come; what may be was checked before."""

    max_header_length: int = MAX_HEADER_BYTES
    max_payload_length: int = MAX_TOKEN_BYTES
    algorithms_ours: ClassVar[frozenset[str]] = _RSA | set(_BY_CURVE.values())

    def get_alg(self, name: str) -> Any:
        """See the library. It would warn about EdDSA."""
        if name not in self.algorithms_ours:
            raise ValueError("another algorithm")
        return self.algorithms[name]


class _Encryption(JWERegistry):
    max_protected_header_length: int = MAX_HEADER_BYTES
    max_ciphertext_length: int = MAX_TOKEN_BYTES


SIGNING = _Signing(strict_check_header=False)
_ENCRYPTION = _Encryption(algorithms=[_FOR_RSA, _FOR_EC, _CONTENT], strict_check_header=False)


class Tokens:
    """Opens tokens: verifies who signed them, and decrypts them first if there are private keys."""

    def __init__(
        self, keys: KeySource, *, private_keys: Mapping[str, str | bytes] | None = None
    ) -> None:
        """Use the issuer's `keys`, and `private_keys` in PEM by the id of their public key.

        Raises:
            ValueError: a private key is none, has a password, or is of a kind that cannot be used.
        """
        self._keys = keys
        self._private_keys = {
            kid: _private_key(kid, pem) for kid, pem in (private_keys or {}).items()
        }

    def __repr__(self) -> str:
        return f"<Tokens of {self._keys!r}, private keys {sorted(self._private_keys)}>"

    @property
    def decrypts(self) -> bool:
        """Return whether there are private keys."""
        return bool(self._private_keys)

    def open(self, token: bytes) -> bytes:
        """The payload of a JWT, or of a JWT in a JWE. May wait for the issuer's keys.

        Raises:
            InvalidCall: whatever is wrong with the token.
            KeysUnavailable: the issuer's keys could not be had.
        """
        jws = self._decrypted(token)
        header = _checked_header(jws)
        return _verified(jws, header, self._keys.find(header["kid"]))

    async def open_async(self, token: bytes) -> bytes:
        """The same, without holding up the event loop while keys are fetched."""
        jws = self._decrypted(token)
        header = _checked_header(jws)
        return _verified(jws, header, await self._keys.find_async(header["kid"]))

    def _decrypted(self, token: bytes) -> bytes:
        """The JWS. From a JWE it is what was inside, and may be no JWE again."""
        parts = token.count(b".") + 1 if len(token) <= MAX_TOKEN_BYTES else 0
        if parts == _JWS_PARTS:
            return token
        if parts != _JWE_PARTS:
            raise InvalidCall(Reason.MALFORMED, "the body is no token")
        if not self._private_keys:
            raise InvalidCall(Reason.NOT_ALLOWED, "the body is encrypted, and there is no key here")
        jws = self._plaintext(token)
        if jws.count(b".") + 1 != _JWS_PARTS:
            raise InvalidCall(Reason.MALFORMED, "what was encrypted is no JWT")
        return jws

    def _plaintext(self, token: bytes) -> bytes:
        header = _header(token)
        found = self._private_keys.get(_kid(header))
        if found is None:
            raise InvalidCall(Reason.UNKNOWN_KEY, "encrypted to a key that is not here")
        algorithm, curve, private_key = found
        if header.get("alg") != algorithm or header.get("enc") != _CONTENT:
            raise InvalidCall(Reason.NOT_ALLOWED, "the encryption is not the one for this key")
        if curve:
            _check_ephemeral(header.get("epk"), curve)
        try:
            opened = decrypt_compact(token, private_key, registry=_ENCRYPTION).plaintext
        except Exception:  # noqa: BLE001 - whatever a library raises over a stranger's text
            raise InvalidCall(Reason.UNREADABLE, "the token does not decrypt") from None
        return opened or b""


def _check_ephemeral(epk: object, curve: str) -> None:
    """The sender's half of the agreement: a point on our curve, which loading it checks."""
    if not isinstance(epk, dict) or set(epk) != _EPHEMERAL:
        raise InvalidCall(Reason.MALFORMED, "the ephemeral key is none")
    if epk["kty"] != "EC" or epk["crv"] != curve:
        raise InvalidCall(Reason.NOT_ALLOWED, "the ephemeral key is on another curve")


def _checked_header(jws: bytes) -> Mapping[str, Any]:
    header = _header(jws)
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in _Signing.algorithms_ours:
        raise InvalidCall(Reason.NOT_ALLOWED, "the token's algorithm is not accepted")
    return {**header, "kid": _kid(header)}


def _verified(jws: bytes, header: Mapping[str, Any], jwk: Jwk | None) -> bytes:
    if jwk is None:
        raise InvalidCall(Reason.UNKNOWN_KEY, "signed with a key that is not the issuer's")
    algorithms, loaded = _web_key(json.dumps({name: jwk.get(name) for name in _READ_OF_JWK}))
    if header["alg"] not in algorithms:
        raise InvalidCall(Reason.NOT_ALLOWED, "the token's algorithm is not the key's")
    try:
        payload: bytes = deserialize_compact(jws, loaded, registry=SIGNING).payload
    except Exception:  # noqa: BLE001 - whatever a library raises over a stranger's text
        raise InvalidCall(Reason.NO_MATCH, "the token was not signed with this key") from None
    return payload


_READ_OF_JWK = (*_PUBLIC, "alg", "use")


# Loading a key takes as long as using it, or longer.
@lru_cache(maxsize=256)
def _web_key(jwk_json: str) -> tuple[frozenset[str], Any]:
    """The algorithms that a key is for, and the key. None for one that is of no use here."""
    jwk: dict[str, Any] = json.loads(jwk_json)
    try:
        kty = jwk["kty"]
        fitting = _RSA if kty == "RSA" else frozenset({_BY_CURVE[kty, jwk["crv"]]})
        if jwk["alg"] is not None:
            fitting &= {jwk["alg"]}
        if jwk["use"] not in {None, "sig"} or (kty == "RSA" and not _is_sound(jwk)):
            return frozenset(), None
        loaded = _CLASSES[kty].import_key({name: jwk[name] for name in _PUBLIC if jwk[name]})
        _ = loaded.public_key  # loading alone does not say whether a point is on its curve
    except Exception:  # noqa: BLE001 - the issuer publishes what we cannot use
        return frozenset(), None
    return fitting, loaded


def _is_sound(jwk: Mapping[str, Any]) -> bool:
    bits, exponent = _number(jwk["n"]).bit_length(), _number(jwk["e"])
    return _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS and 1 < exponent <= _MAX_RSA_EXPONENT


def _number(text: str) -> int:
    return int.from_bytes(_octets(text.encode("ascii")), "big")


def _header(token: bytes) -> dict[str, Any]:
    """The protected header: a JSON object without anything that would change what is done."""
    encoded = token.partition(b".")[0]
    if len(encoded) > MAX_HEADER_BYTES:
        raise InvalidCall(Reason.MALFORMED, "the token's header is too long")
    try:
        header = json.loads(_octets(encoded).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise InvalidCall(Reason.MALFORMED, "the token's header is not JSON") from None
    if not isinstance(header, dict):
        raise InvalidCall(Reason.MALFORMED, "the token's header is not a JSON object")
    if any(name in header for name in _REFUSED):
        raise InvalidCall(Reason.NOT_ALLOWED, "the token's header has what is not understood here")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _kid(header: Mapping[str, Any]) -> str:
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARS:
        raise InvalidCall(Reason.UNKNOWN_KEY, "the token names no key")
    return kid


def _octets(encoded: bytes) -> bytes:
    return b64decode(encoded + b"=" * (-len(encoded) % 4), b"-_", validate=True)


def _private_key(kid: str, pem: str | bytes) -> tuple[str, str, Any]:
    """The algorithm, the curve if there is one, and the key."""
    try:
        loaded = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, None)
    except (ValueError, TypeError):
        # What the library says may quote the file.
        raise ValueError(f"private key {kid} is no PEM without a password") from None
    if isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size >= _MIN_RSA_BITS:
        return _FOR_RSA, "", RSAKey.import_key(loaded)
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in _CURVES:
        return _FOR_EC, _CURVES[loaded.curve.name], ECKey.import_key(loaded)
    raise ValueError(f"private key {kid} is neither RSA of 2048 bits or more nor P-256, -384, -521")
