"""Believe a call, or refuse it with one exception."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from hmac import compare_digest
from typing import NamedTuple

from outrider_receiver._claims import Claim, claims_in
from outrider_receiver._headers import (
    ATTEMPT,
    EVENT,
    HOPS,
    REPLAY_OF,
    ZITADEL_SIGNATURE,
    Headers,
    read_headers,
)
from outrider_receiver._refusal import InvalidCall, Reason
from outrider_receiver._signing_keys import Hasher, halves, hmac_sha256, secrets_of

# Long enough for clocks that are not synchronized, short enough to remember the ids seen meanwhile.
TOLERANCE = timedelta(minutes=5)

_SECONDS = TOLERANCE.total_seconds()
_START_CHARS = len("t=1700000000,v1=")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_VISIBLE = re.compile(r"[!-~]+")


class VerifiedCall(NamedTuple):
    """A call whose sender knows a signing key. Its body is what was signed."""

    at: int
    """When this attempt was signed, in Unix seconds, within the tolerance of now."""

    delivery_id: str | None = None
    """The signed id of what is delivered, the same on every attempt: an event's delivery, or the
    call of an interception. Do the work of one id once. None from ZITADEL, which sends no id."""

    attempt: int | None = None
    """Which attempt this says it is, from 1; events only. **Not signed**: for the log."""

    event_id: str | None = None
    """The publisher's id of the event that this says it delivers, the same for all targets and on
    replays. **Not signed**: see `Receiver(deduplicate_by="event")`."""

    replay_of: str | None = None
    """The delivery that this says it repeats, on replays. **Not signed**: for the log."""

    hops: int = 0
    """How many outriders the event has come through, from 1; 0 from ZITADEL, and for interceptions.
    A receiver that publishes because of this call passes it on, as the header `Outrider-Hops` or
    `hops`: then a circle ends. **Not signed**."""

    @property
    def signed_at(self) -> datetime:
        """When this attempt was signed, in UTC."""
        return datetime.fromtimestamp(self.at, tz=timezone.utc)


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
        InvalidCall: whatever the caller sent that is not right.
        TypeError, ValueError: the arguments are wrong, independent of the call.
    """
    return verify_with_macs(body, headers, signing_keys, now, tolerance)[0]


def verify_headers(headers: Headers, *, now: float, tolerance: timedelta = TOLERANCE) -> None:
    """Refuse a call that no body can make genuine, before its body is read.

    The arguments and `InvalidCall` are those of `verify`.
    """
    for claim in claims_in(read_headers(headers)):
        if not claim.signatures:
            raise InvalidCall(Reason.NO_MATCH, "a signature header has no signature in it")
        _require_fresh(claim, now, tolerance)


def verify_with_macs(
    body: bytes,
    headers: Headers,
    signing_keys: str | Sequence[str],
    now: float | None,
    tolerance: timedelta,
) -> tuple[VerifiedCall, tuple[str, ...]]:
    """`verify`, and what tells that the same signed bytes come again, whatever was taken from them.

    One HMAC over time and body for each signing key that matched, as ZITADEL writes it, also where
    only the headers of Standard Webhooks came.
    """
    if not isinstance(body, bytes):
        raise TypeError(_body_advice(body))
    if now is None:
        now = time.time()  # noqa: TID251 - the default of an argument; tests pass their own
    found = read_headers(headers)
    if type(signing_keys) is str and signing_keys and len(found) == 1:
        header = found.get(ZITADEL_SIGNATURE, "")
        at = _usual(header, body, signing_keys, now, tolerance)
        if at is not None:
            call: VerifiedCall = tuple.__new__(VerifiedCall, (at, None, None, None, None, 0))
            return call, (header[_START_CHARS:],)
    secrets = secrets_of(signing_keys)
    claims = claims_in(found)
    attempt = _number(found[ATTEMPT], "the attempt") if ATTEMPT in found else None
    event_id = _event_id(found[EVENT]) if EVENT in found else None
    replay_of = _visible(found[REPLAY_OF]) if REPLAY_OF in found else None
    hops = _number(found[HOPS], "hops") if HOPS in found else 0
    delivery_id = None
    matched: dict[tuple[str, int], str] = {}
    for claim in claims:
        _require_fresh(claim, now, tolerance)
        for secret, mac in _matches(claim, body, secrets):
            if claim.message_id is None:
                matched[secret, claim.at] = mac.hex()
            elif (secret, claim.at) not in matched:
                same = hmac_sha256(secret, b"%d." % claim.at, body)
                matched[secret, claim.at] = same.hex()
        delivery_id = claim.message_id or delivery_id
    verified = VerifiedCall(claims[0].at, delivery_id, attempt, event_id, replay_of, hops)
    return verified, tuple(matched.values())


def _usual(
    header: str, body: bytes, signing_key: str, now: float, tolerance: timedelta
) -> int | None:
    """When this was signed: one key, one signature, and all is well. Anything else takes its time.

    It does in one step what the long way does in several, and never accepts what that would refuse.
    """
    started = _started(signing_key, header[:_START_CHARS])
    if started is None:
        return None
    at, inner, outer = started
    window = _SECONDS if tolerance is TOLERANCE else tolerance.total_seconds()
    if not -window <= now - at <= window:
        return None
    hashed, mac = inner(), outer()
    hashed.update(body)
    mac.update(hashed.digest())
    return at if compare_digest(mac.hexdigest(), header[_START_CHARS:]) else None


# Who is in a hurry gets many calls in the same second. The bound is against callers who invent times.
@lru_cache(maxsize=64)
def _started(signing_key: str, start: str) -> tuple[int, Hasher, Hasher] | None:
    """The time in the start of a usual header, and both halves of its HMAC up to the body."""
    stamp = start[2:12]  # ten digits since 2001 and until 2286
    if start != f"t={stamp},v1=" or not stamp.isdigit() or stamp < "1":
        return None
    inner, outer = halves(signing_key)
    hashed = inner()
    hashed.update(f"{stamp}.".encode())
    return int(stamp), hashed.copy, outer


def _require_fresh(claim: Claim, now: float, tolerance: timedelta) -> None:
    age = now - claim.at
    # A clock that answers NaN compares false with everything, and must not let everything in.
    if abs(age) <= tolerance.total_seconds():
        return
    if age < 0:
        raise InvalidCall(Reason.TOO_NEW, "the signature is from the future")
    raise InvalidCall(Reason.TOO_OLD, "the signature is too old")


def _matches(claim: Claim, body: bytes, secrets: Sequence[str]) -> list[tuple[str, bytes]]:
    """The keys that it was signed with, each with its HMAC; there is one at least."""
    matches: list[tuple[str, bytes]] = []
    for secret in secrets:
        expected = hmac_sha256(secret, claim.prefix, body)
        trusted = False
        for signature in claim.signatures:
            # No early exit: how long it takes must not say which key matched.
            trusted |= compare_digest(expected, signature)
        if trusted:
            matches.append((secret, expected))
    if not matches:
        raise InvalidCall(Reason.NO_MATCH, "no signature was made with a known signing key")
    return matches


def _visible(text: str) -> str:
    if not _VISIBLE.fullmatch(text):
        raise InvalidCall(Reason.MALFORMED, "an id in a header is not one visible word")
    return text


def _event_id(text: str) -> str:
    _visible(text)
    if "%" not in text:
        return text
    from urllib.parse import unquote  # noqa: PLC0415 - few ids need it

    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidCall(Reason.MALFORMED, "the id of the event is not UTF-8") from None


def _number(text: str, of_what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InvalidCall(Reason.MALFORMED, f"the number of {of_what} is not a number")
    return int(text)


def _body_advice(body: object) -> str:
    hint = "the signature covers the bytes as they arrived"
    if isinstance(body, str):
        hint = "read the bytes before a framework decodes them"
    elif isinstance(body, dict | list):
        hint = "verify first, parse the JSON after: written again, it has other bytes"
    return f"body is the raw bytes of the request, not {type(body).__name__}: {hint}"
