"""A test issuer, to test a receiver of JWT and JWE: needs the extra `[jose]`.

issuer = Issuer()
receiver = Receiver(signing_keys=SIGNING_KEY, tokens=issuer.tokens())
sender = Sender(issuer=issuer, payload_type="jwe")
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import serialize_compact

from outrider_receiver.jose import MAX_TOKEN_BYTES, SIGNING, Tokens
from outrider_receiver.jwks import StaticKeys

_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
_RSA_BITS = 2048


class Issuer:
    """One web key that signs, and one key pair of a receiver to encrypt to."""

    def __init__(
        self,
        *,
        algorithm: str = "ES256",
        encryption: str = "ECDH-ES+A256KW",
        web_key_id: str = "web-key-1",
        public_key_id: str = "public-key-1",
    ) -> None:
        """Make new keys.

        Args:
            algorithm: of the web key: RS256 to RS512, ES256 to ES512, or EdDSA.
            encryption: RSA-OAEP-256 or ECDH-ES+A256KW.
            web_key_id: its `kid`.
            public_key_id: the `kid` of the receiver's key.
        """
        self._algorithm = algorithm
        self._encryption = encryption
        self._web_key_id = web_key_id
        self._public_key_id = public_key_id
        self._web_key = _web_key(algorithm)
        is_rsa = encryption == "RSA-OAEP-256"
        private_key = _rsa() if is_rsa else ec.generate_private_key(ec.SECP256R1())
        pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._recipient: Any = RSAKey.import_key(pem) if is_rsa else ECKey.import_key(pem)
        self.private_keys: dict[str, str] = {public_key_id: pem.decode()}

    @property
    def jwks(self) -> dict[str, Any]:
        """The JWK set that the issuer publishes."""
        public = self._web_key.as_dict(private=False)
        named = {"kid": self._web_key_id, "use": "sig", "alg": self._algorithm}
        return {"keys": [{**public, **named}]}

    def tokens(self, *, decrypting: bool = True) -> Tokens:
        """Return what opens this issuer's tokens; without `decrypting`, JWTs only."""
        keys = StaticKeys(self.jwks)
        return Tokens(keys, private_keys=self.private_keys if decrypting else None)

    def jwt(self, body: bytes) -> bytes:
        """The body signed by the web key."""
        header = {"alg": self._algorithm, "kid": self._web_key_id, "typ": "JWT"}
        return serialize_compact(header, body, self._web_key, registry=SIGNING).encode()

    def jwe(self, body: bytes) -> bytes:
        """The signed body, encrypted to the receiver."""
        header = {
            "alg": self._encryption,
            "enc": "A256GCM",
            "kid": self._public_key_id,
            "typ": "JWT",
            "cty": "JWT",
        }
        registry = JWERegistry(algorithms=[self._encryption, "A256GCM"])
        registry.max_ciphertext_length = MAX_TOKEN_BYTES
        return encrypt_compact(header, self.jwt(body), self._recipient, registry=registry).encode()


def _web_key(algorithm: str) -> Any:
    if algorithm in _CURVES:
        return ECKey.import_key(_pem(ec.generate_private_key(_CURVES[algorithm])))
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519")
    return RSAKey.import_key(_pem(_rsa()))


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def _pem(private_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
