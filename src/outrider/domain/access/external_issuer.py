"""External issuers, whose tokens count besides our own: what an operator configures of each one.

OpenID Connect Core 1.0 (issuer, audience), RFC 7518 and RFC 8037 (names of algorithms).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outrider.domain.access.permission import ASSIGNABLE_ROLES, Role
from outrider.domain.formats.entries import parse_entries
from outrider.domain.net.endpoint import Endpoint, literal_address, parse_written_endpoint

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""All that may be accepted: asymmetric ones. A key that verifies must not be able to sign."""

MAX_ISSUERS = 50
MAX_TEXTS = 100
"""Audiences of one issuer, and values that are mapped to roles."""
MAX_CHARS = 512
DISCOVERY = "/.well-known/openid-configuration"

ClaimPath = tuple[str, ...]

_FIELDS = frozenset(
    {
        *("issuer", "audience", "roles_claim", "roles", "default_roles"),
        *("jwks_url", "algorithms", "instance"),
    }
)


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """One issuer, and the roles of its tokens.

    `issuer` is exactly the claim `iss`. `role_paths` are the paths of the claim with the roles; the
    first one that a token has counts. An empty `jwks_url` means that discovery names it, an empty
    `instance` the default one.
    """

    issuer: str
    audience: frozenset[str]
    role_paths: tuple[ClaimPath, ...]
    roles: Mapping[str, frozenset[Role]]
    default_roles: frozenset[Role] = frozenset()
    jwks_url: str = ""
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    instance: str = ""

    @property
    def discovery_url(self) -> str:
        """The URL of its discovery document (OpenID Connect Discovery 1.0, section 4)."""
        return self.issuer.rstrip("/") + DISCOVERY


def parse_issuers(text: str) -> tuple[ExternalIssuer, ...]:
    """Read the JSON list of issuers. Raise `ValueError` with half a sentence: which one, and what."""
    issuers = parse_entries(text, _issuer, fields=_FIELDS, most=MAX_ISSUERS, plural="issuers")
    for number, issuer in enumerate(issuers, 1):
        later = [(other.issuer, other.instance) for other in issuers[number:]]
        if (issuer.issuer, issuer.instance) in later:
            raise ValueError(f"entry {number}: its issuer stands there twice for one instance")
    return issuers


def check_callable(url: str) -> None:
    """Raise `ValueError` unless keys may come from there: https, or http on this very machine.

    A party that can change the keys in transit can issue tokens.
    """
    endpoint = parse_written_endpoint(url)
    if endpoint.scheme == "http" and not _is_loopback(endpoint):
        raise ValueError("the URL must begin with https:// (http:// is for loopback only)")


def _issuer(entry: Mapping[str, Any]) -> ExternalIssuer:
    roles, default_roles = _mapping(entry.get("roles", {})), _default(entry)
    if not roles and not default_roles:
        raise ValueError("roles or default_roles must be given, or its tokens are worth nothing")
    if roles and "roles_claim" not in entry:
        raise ValueError("roles_claim must name the claim that roles are found in")
    return ExternalIssuer(
        issuer=_url("issuer", entry.get("issuer"), query=False),
        audience=frozenset(_texts("audience", entry.get("audience"))),
        role_paths=_paths(entry.get("roles_claim", [])),
        roles=roles,
        default_roles=default_roles,
        jwks_url=_url("jwks_url", entry["jwks_url"]) if "jwks_url" in entry else "",
        algorithms=_algorithms(entry.get("algorithms", list(ALGORITHMS))),
        instance=_text("instance", entry["instance"]) if "instance" in entry else "",
    )


def _url(name: str, given: object, *, query: bool = True) -> str:
    text = _text(name, given)
    try:
        check_callable(text)
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None
    if not query and "?" in text:
        raise ValueError(f"{name}: the URL contains a query")
    return text


def _text(name: str, given: object) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= MAX_CHARS or not given.isprintable():
        raise ValueError(f"{name} must be a text of 1 to {MAX_CHARS} characters")
    return given


def _texts(name: str, given: object) -> list[str]:
    texts = given if isinstance(given, list) else [given]
    if not 0 < len(texts) <= MAX_TEXTS:
        raise ValueError(f"{name} must be a text, or a list of 1 to {MAX_TEXTS} texts")
    return [_text(name, text) for text in texts]


def _paths(given: object) -> tuple[ClaimPath, ...]:
    """A list is one path. A text is a name, dots and all, and else a path divided by dots."""
    if given == []:
        return ()
    names = tuple(_texts("roles_claim", given))
    if isinstance(given, list):
        return (names,)
    return (names, tuple(names[0].split("."))) if "." in names[0] else (names,)


def _mapping(given: object) -> Mapping[str, frozenset[Role]]:
    if not isinstance(given, dict) or len(given) > MAX_TEXTS:
        raise ValueError(f"roles must map at most {MAX_TEXTS} values to lists of roles")
    return {_text("roles", value): _roles("roles", named) for value, named in given.items()}


def _default(entry: Mapping[str, Any]) -> frozenset[Role]:
    given = entry.get("default_roles", [])
    return _roles("default_roles", given) if given != [] else frozenset()


def _roles(name: str, given: object) -> frozenset[Role]:
    named = frozenset(_texts(name, given))
    if not named <= frozenset(ASSIGNABLE_ROLES):
        raise ValueError(f"{name} must be roles of ours: {', '.join(ASSIGNABLE_ROLES)}")
    return frozenset(map(Role, named))


def _algorithms(given: object) -> frozenset[str]:
    named = frozenset(_texts("algorithms", given))
    if not named <= frozenset(ALGORITHMS):
        raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
    return named


def _is_loopback(endpoint: Endpoint) -> bool:
    address = literal_address(endpoint.host)
    return endpoint.host == "localhost" if address is None else address.is_loopback
