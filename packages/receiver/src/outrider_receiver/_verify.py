"""Believe a call, or refuse it with one exception."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from outrider_receiver._claims import Claim, claims_in
from outrider_receiver._headers import ATTEMPT, Headers, read_headers
from outrider_receiver._refusal import InvalidSignature, Reason
from outrider_receiver._signing_keys import secrets_of

# Long enough for clocks that nobody looks after, short enough to remember the ids seen meanwhile.
TOLERANCE = timedelta(minutes=5)

_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class VerifiedCall:
    """A call that somebody made who knows a signing key. Its body is what was signed."""

    signed_at: datetime
    """When this attempt was signed, in UTC, within the tolerance of now."""

    delivery_id: str | None
    """The signed id of what is delivered, the same on every attempt: an event's delivery, or the
    call of an interception. Do the work of one id once. None from ZITADEL, which sends no id."""

    attempt: int | None
    """Which attempt this says it is, from 1; events only. **Not signed**: for the log."""


def verify(
    body: bytes,
    headers: Headers,
    *,
    signing_keys: str | Sequence[str],
    now: float | None = None,
    tolerance: timedelta = TOLERANCE,
) -> VerifiedCall:
    """Refuse the call unless it was signed with one of the keys, lately, over exactly this body.

    Reads `ZITADEL-Signature` (or `X-ZITADEL-Signature`) and the Standard Webhooks headers. If both
    are there, both must hold. Verify first, parse the body after.

    Args:
        body: the raw bytes of the request, before anything decoded or parsed them.
        headers: a mapping, an object with `items()`, or pairs of name and value; in any case.
        signing_keys: the text that CreateTarget returned; all valid ones during a rotation.
        now: Unix seconds; the system's clock when absent.
        tolerance: how far the signature's time may be from now, in the past and in the future.

    Raises:
        InvalidSignature: whatever the caller sent that is not right.
        TypeError, ValueError: the arguments are wrong, whoever calls.
    """
    if not isinstance(body, bytes):
        raise TypeError(_body_advice(body))
    secrets = secrets_of(signing_keys)
    found = read_headers(headers)
    claims = claims_in(found)
    attempt = _attempt(found.get(ATTEMPT))
    if now is None:
        now = time.time()  # noqa: TID251 - the default of an argument; tests pass their own
    for claim in claims:
        _require_fresh(claim, now, tolerance)
        _require_signed(claim, body, secrets)
    return VerifiedCall(
        signed_at=datetime.fromtimestamp(claims[0].at, tz=timezone.utc),
        delivery_id=next((claim.message_id for claim in claims if claim.message_id), None),
        attempt=attempt,
    )


def _require_fresh(claim: Claim, now: float, tolerance: timedelta) -> None:
    age = now - claim.at
    # A clock that answers NaN compares false with everything, and must not let everything in.
    if abs(age) <= tolerance.total_seconds():
        return
    if age < 0:
        raise InvalidSignature(Reason.TOO_NEW, "the signature is from the future")
    raise InvalidSignature(Reason.TOO_OLD, "the signature is too old")


def _require_signed(claim: Claim, body: bytes, secrets: Sequence[bytes]) -> None:
    message = claim.prefix + body
    trusted = False
    for secret in secrets:
        expected = hmac.digest(secret, message, "sha256")
        for signature in claim.signatures:
            # No early exit: how long it takes must not say which key matched.
            trusted |= hmac.compare_digest(expected, signature)
    if not trusted:
        raise InvalidSignature(Reason.NO_MATCH, "no signature was made with a known signing key")


def _attempt(text: str | None) -> int | None:
    if text is None:
        return None
    if not _ATTEMPT.fullmatch(text):
        raise InvalidSignature(Reason.MALFORMED, "the number of the attempt is not a number")
    return int(text)


def _body_advice(body: object) -> str:
    hint = "the signature covers the bytes as they arrived"
    if isinstance(body, str):
        hint = "read the bytes before a framework decodes them"
    elif isinstance(body, dict | list):
        hint = "verify first, parse the JSON after: written again, it has other bytes"
    return f"body is the raw bytes of the request, not {type(body).__name__}: {hint}"
