"""The claims of a call's headers: signatures and their time. Parsed strictly, not yet verified.

Two spellings of one idea. ZITADEL:

    ZITADEL-Signature: t=1700000000,v1=<64 hex digits>[,v1=...]

where the signed bytes are `<t>.<body>`; and Standard Webhooks 1.0:

    webhook-id: 314159265358979323
    webhook-timestamp: 1700000000
    webhook-signature: v1,<Base64>[ v1,...]

where they are `<id>.<timestamp>.<body>`. In both, several signatures mean several keys, during the
grace period of an old one. What a newer sender might add is ignored: parts of other names, and
signatures of other versions. A signature that cannot be one is never equal to one, and is dropped.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import NamedTuple

from outrider_receiver._headers import (
    WEBHOOK_ID,
    WEBHOOK_SIGNATURE,
    WEBHOOK_TIMESTAMP,
    ZITADEL_SIGNATURE,
)
from outrider_receiver._refusal import InvalidCall, Reason

MAX_PARTS = 32  # a timestamp and 31 keys: more than any sender has in the longest grace period

# ASCII digits only, no sign, no leading zero: an instant has one spelling. Eleven digits reach to
# the year 5138, end before datetime does, and are shorter than any id that outrider signs: the
# signed bytes of the one spelling can never be read as those of the other.
_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,10}")
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
# The 43rd character carries four bits. Only its canonical spellings: one signature, one text.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
# Visible ASCII without the full stop, which separates id, timestamp and body.
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,256}")


class Claim(NamedTuple):
    """One signature header: to be believed only when one of its signatures holds."""

    at: int
    """Unix seconds."""

    prefix: bytes
    """What stands before the body in the signed bytes."""

    signatures: tuple[bytes, ...]
    """Candidates of 32 bytes each. None: nothing can hold."""

    message_id: str | None = None
    """Signed with the body, if the scheme has ids."""


def claims_in(found: dict[str, str]) -> list[Claim]:
    """The claims that the headers make. All of them must hold; there is at least one.

    Standard Webhooks counts when its signature is there, with ZITADEL's or alone. Without its
    signature the other two headers are hearsay and are not read.

    Raises:
        InvalidCall: there is no signature, or a header is not written as it must be.
    """
    claims = []
    if ZITADEL_SIGNATURE in found:
        claims.append(_zitadel_claim(found[ZITADEL_SIGNATURE]))
    if WEBHOOK_SIGNATURE in found:
        claims.append(_standard_webhooks_claim(found))
    if not claims:
        raise InvalidCall(Reason.MISSING, "there is no signature header")
    return claims


def _zitadel_claim(header: str) -> Claim:
    stamps: list[str] = []
    signatures: list[bytes] = []
    for part in _split(header, ","):
        name, equals, value = part.partition("=")
        if not equals or "=" in value:
            raise InvalidCall(Reason.MALFORMED, "a part of the signature is not name=value")
        if name == "t":
            stamps.append(value)
        elif name == "v1" and _HEX.fullmatch(value):
            signatures.append(bytes.fromhex(value))
    if len(stamps) != 1:
        raise InvalidCall(Reason.MALFORMED, "the signature has not exactly one timestamp")
    at = _instant(stamps[0])
    return Claim(at=at, prefix=b"%d." % at, signatures=tuple(signatures))


def _standard_webhooks_claim(found: dict[str, str]) -> Claim:
    if WEBHOOK_ID not in found or WEBHOOK_TIMESTAMP not in found:
        raise InvalidCall(Reason.MISSING, "webhook-id or webhook-timestamp is absent")
    message_id = found[WEBHOOK_ID]
    if not _MESSAGE_ID.fullmatch(message_id):
        raise InvalidCall(Reason.MALFORMED, "webhook-id is not one visible word")
    at = _instant(found[WEBHOOK_TIMESTAMP])
    signatures = []
    for part in _split(found[WEBHOOK_SIGNATURE], " "):
        version, _, value = part.partition(",")
        if version == "v1" and _BASE64.fullmatch(value):
            signatures.append(b64decode(value))
    return Claim(
        at=at,
        prefix=b"%b.%d." % (message_id.encode("ascii"), at),
        signatures=tuple(signatures),
        message_id=message_id,
    )


def _split(header: str, separator: str) -> list[str]:
    parts = header.split(separator, MAX_PARTS)
    if len(parts) > MAX_PARTS:
        raise InvalidCall(Reason.MALFORMED, "the signature has too many parts")
    return parts


def _instant(text: str) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise InvalidCall(Reason.MALFORMED, "the timestamp is not a number of seconds")
    return int(text)
