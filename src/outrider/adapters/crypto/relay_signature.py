"""The signature of calls to the relay, checked as every receiver of outrider checks it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from outrider.usecases.ports.external_tokens import InvalidSignature
from outrider_receiver import InvalidCall, verify
from outrider_receiver._verify import verify_headers


class SignatureVerifier:
    """The signing keys of one source, of which one must have signed, and how old that may be."""

    def __init__(self, signing_keys: Sequence[str], max_age_s: int) -> None:
        self._signing_keys = signing_keys
        self._max_age = timedelta(seconds=max_age_s)

    def check_headers(self, values: Sequence[str], now: float) -> None:
        try:
            verify_headers(_headers(values), now=now, tolerance=self._max_age)
        except InvalidCall as problem:
            raise InvalidSignature(str(problem)) from None

    def check(self, values: Sequence[str], body: bytes, now: float) -> None:
        try:
            verify(
                body,
                _headers(values),
                signing_keys=self._signing_keys,
                now=now,
                tolerance=self._max_age,
            )
        except InvalidCall as problem:
            raise InvalidSignature(str(problem)) from None


def _headers(values: Sequence[str]) -> list[tuple[str, str]]:
    return [("zitadel-signature", value) for value in values]
