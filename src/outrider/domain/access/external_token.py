"""Check the claims of an external issuer's token, and derive its roles.

RFC 7519 (claims), RFC 9068 (access tokens), RFC 8725 (what goes wrong with JWTs).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from outrider.domain.access.access_token import CLOCK_SKEW, audience, moment
from outrider.domain.access.external_issuer import ClaimPath, ExternalIssuer
from outrider.domain.access.permission import Role
from outrider.domain.ids import AccountId

MAX_SUBJECT_CHARS = 255
"""OpenID Connect Core 1.0, section 2."""

_TYPES = frozenset({"jwt", "at+jwt"})
_SCOPE = "scope"


def check_type(header: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless the header calls it an access token, or any JWT, or nothing.

    Other uses, such as log-out tokens, have a `typ` of another value (RFC 8725, section 3.11). Some issuers write no `typ` at all.
    """
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _TYPES:
        raise ValueError("another type")


def check_external_claims(claims: Mapping[str, Any], issuer: ExternalIssuer, now: datetime) -> None:
    """Raise `ValueError` unless it is a token of this issuer, for us, and valid now.

    Clocks may be `CLOCK_SKEW` apart. A token that is bound to a client's key is refused: nothing
    proves here that the caller has that key (RFC 7800). So is a message about an event,
    which is signed like a token (RFC 8417).
    """
    if claims.get("iss") != issuer.issuer:
        raise ValueError("another issuer")
    if issuer.audience.isdisjoint(audience(claims)):
        raise ValueError("another audience")
    if "cnf" in claims or "events" in claims:
        raise ValueError("no bearer token")
    subject(claims)
    if moment(claims, "exp") + CLOCK_SKEW.total_seconds() <= now.timestamp():
        raise ValueError("expired")
    begins = [moment(claims, name) for name in ("iat", "nbf") if name in claims]
    if begins and max(begins) > now.timestamp() + CLOCK_SKEW.total_seconds():
        raise ValueError("not valid yet")


def subject(claims: Mapping[str, Any]) -> str:
    """The claim `sub`. Raise `ValueError` when it is absent, or a text that no log should hold."""
    given = claims.get("sub")
    if isinstance(given, str) and 0 < len(given) <= MAX_SUBJECT_CHARS and given.isprintable():
        return given
    raise ValueError("no subject")


def external_account(issuer: ExternalIssuer, claims: Mapping[str, Any]) -> AccountId:
    """The account's id, `<iss>#<sub>`: no issuer contains a `#`, and no account of ours either."""
    return AccountId(f"{issuer.issuer}#{subject(claims)}")


def expiry(claims: Mapping[str, Any]) -> datetime:
    """The moment from which it is refused. Raise `ValueError` for a date that there is not."""
    return datetime.fromtimestamp(moment(claims, "exp") + CLOCK_SKEW.total_seconds(), UTC)


def granted_roles(issuer: ExternalIssuer, claims: Mapping[str, Any]) -> frozenset[Role]:
    """The roles that its claims are mapped to, and those that every token of the issuer has."""
    found = (_at(claims, path) for path in issuer.role_paths)
    path_values = next((_values(*claim) for claim in found if claim is not None), [])
    mapped = (issuer.roles.get(value, frozenset()) for value in path_values)
    return issuer.default_roles.union(*mapped)


def _at(claims: Mapping[str, Any], path: ClaimPath) -> tuple[str, object] | None:
    value: object = claims
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return path[-1], value


def _values(name: str, value: object) -> list[str]:
    """The names of roles in a claim: a text, a list of texts, or an object's names.

    Names with an empty value, such as false or an empty object, are granted nowhere. Only the
    claim `scope` is a text of several (RFC 8693, section 4.2).
    """
    if isinstance(value, str):
        return value.split(" ") if name == _SCOPE else [value]
    if isinstance(value, dict):
        return [role_name for role_name, scope in value.items() if scope]
    role_names = value if isinstance(value, list) else []
    return [role_name for role_name in role_names if isinstance(role_name, str)]
