"""Ports of external issuers and relay sources: documents, key sets, JWTs, JWEs, signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from outrider.domain.calls.request import Response

MAX_DOCUMENT_BYTES = 2**20
MAX_KEYS = 100
"""Of one set; issuers have two or three."""


class UnknownKey(ValueError):
    """No key of the set is the one that the token names: a newer set may have it."""


class Fetcher(Protocol):
    """Reads documents."""

    async def get(self, url: str, timeout: float) -> Response:  # noqa: ASYNC109 - of the whole exchange
        """Return the answer, whatever its status. Raise `RequestError` when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ExternalJwt:
    """A verified JWT."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class KeySet(Protocol):
    """The public keys of one issuer."""

    def verified(self, compact: str, algorithms: frozenset[str]) -> ExternalJwt:
        """Return the JWT when one of the keys signed it, with one of these algorithms.

        Raise `UnknownKey` when a newer set might do, `ValueError` for everything else.
        """
        ...


class IssuerKeys(Protocol):
    """The keys of one issuer: fetched once for many calls, kept, and used when it is down."""

    async def current(self) -> KeySet | None:
        """The keys to verify with; None when there are none, and none could be fetched."""
        ...

    async def newer(self, than: KeySet) -> KeySet | None:
        """Keys fetched after these, if there are or may be any; None: these are the newest."""
        ...


class JwtParser(Protocol):
    """Reads what other issuers write."""

    def unverified_issuer(self, compact: str) -> str | None:
        """The claim `iss`; nothing is verified. None for what is no JWT, or has no such claim."""
        ...

    def key_set(self, document: bytes) -> KeySet:
        """Read a JWK set (RFC 7517, section 5); keys that cannot be used are left out.

        Raise `ValueError` for what is none, and for more than `MAX_KEYS`.
        """
        ...


class JweDecrypter(Protocol):
    """The private keys of one source."""

    def decrypted(self, compact: bytes) -> bytes:
        """The content of a compact JWE (RFC 7516). Raise `ValueError` when it is none for these keys."""
        ...


class InvalidSignature(ValueError):
    """No known key has signed this, or not lately. The text is for the log, and names no secret."""


class SignatureVerifier(Protocol):
    """Knows the signing keys of one source, and how far a signature's time may be from now.

    `values` are those of both signature headers, `now` is in Unix seconds.
    """

    def check_headers(self, values: Sequence[str], now: float) -> None:
        """Return when there is a body that they may be the signature of. Raise `InvalidSignature`."""
        ...

    def check(self, values: Sequence[str], body: bytes, now: float) -> None:
        """Return when one of the keys signed exactly this body, lately. Raise `InvalidSignature`."""
        ...
