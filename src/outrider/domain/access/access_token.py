"""The claims of JWTs: of access tokens that we issue, and of assertions that accounts sign.

RFC 7519 (claims), RFC 9068 (access tokens), RFC 7523 (assertions as a grant).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from outrider.domain.ids import AccountId, InstanceId

LIFETIME = timedelta(hours=12)
"""Of an access token."""

TYP = "at+jwt"
"""RFC 9068, section 2.1. Web keys sign payloads for targets as well, whose content a publisher
chooses, with another `typ`: none of them is an access token."""

ASSERTION_LIFETIME = timedelta(hours=1)
CLOCK_SKEW = timedelta(seconds=30)
"""How far an account's clock may be off."""

# The year 10000: `datetime` ends before it.
_END_OF_TIME = 253_402_300_800


def access_claims(
    account: AccountId, instance: InstanceId, issuer: str, token_id: str, now: datetime
) -> dict[str, Any]:
    """The claims of a new access token. Its audience is the instance, by whatever name it is reached."""
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "sub": str(account),
        "aud": [str(instance)],
        "iat": issued_at,
        "exp": issued_at + int(LIFETIME.total_seconds()),
        "jti": token_id,
    }


def check_access_claims(claims: Mapping[str, Any], instance: InstanceId, issuer: str) -> None:
    """Raise `ValueError` for a token of another kind. An empty `issuer` is any: it has many names.

    The date of expiry is there, and is not compared.
    """
    texts = [claims.get(name) for name in ("iss", "sub", "jti")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a claim is missing")
    if issuer and claims["iss"] != issuer:
        raise ValueError("another issuer")
    if str(instance) not in audience(claims):
        raise ValueError("another audience")
    for name in ("iat", "exp"):
        moment(claims, name)


def check_assertion(
    claims: Mapping[str, Any], account: AccountId, issuer: str, now: datetime
) -> None:
    """Raise `ValueError`, with a text for the account's owner, unless it may have a token for this."""
    if not claims.get("iss") == claims.get("sub") == str(account):
        raise ValueError("iss and sub must be the user id that the key belongs to")
    if issuer.rstrip("/") not in {name.rstrip("/") for name in audience(claims)}:
        raise ValueError("aud must contain the issuer")
    expires, issued = moment(claims, "exp"), moment(claims, "iat")
    if expires + CLOCK_SKEW.total_seconds() <= now.timestamp():
        raise ValueError("the assertion has expired")
    if expires - issued > ASSERTION_LIFETIME.total_seconds():
        raise ValueError("exp must be at most one hour after iat")
    begins = [issued, *([moment(claims, "nbf")] if "nbf" in claims else [])]
    if max(begins) > now.timestamp() + CLOCK_SKEW.total_seconds():
        raise ValueError("the assertion is not valid yet")


def audience(claims: Mapping[str, Any]) -> list[str]:
    """The names in `aud`; none when the claim is absent (RFC 7519, section 4.1.3)."""
    given = claims.get("aud")
    names = given if isinstance(given, list) else [given]
    return [name for name in names if isinstance(name, str)]


def moment(claims: Mapping[str, Any], name: str) -> float:
    """A date of a JWT in seconds since 1970. Raise `ValueError` when it is absent or none."""
    given = claims.get(name)
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < _END_OF_TIME:
        return float(given)
    raise ValueError(f"{name} must be a date")
