"""The sources whose calls the relay accepts, as an operator configures them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outrider.domain.access.external_issuer import ExternalIssuer, check_callable
from outrider.domain.formats.entries import parse_entries

MAX_SOURCES = 100
MAX_KEYS = 10
"""Signing keys of one source, and keys to decrypt with."""
MAX_CHARS = 4096
MAX_AGE_S = 24 * 60 * 60
DEFAULT_AGE_S = 300

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_FIELDS = frozenset(
    {
        *("name", "signing_keys", "signing_key_files", "issuer", "jwks_url"),
        *("decryption_key_files", "instance", "max_age"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySource:
    """One ZITADEL, or another outrider.

    With signing keys a call must carry a signature by one of them. With an issuer or a JWK set its
    body must be a JWT that they signed, which may be encrypted for one of the decryption keys. An
    empty `instance` is the default one. Files are absolute paths; `max_age_s` is in seconds.
    """

    name: str
    signing_keys: tuple[str, ...] = field(default=(), repr=False)
    signing_key_files: tuple[str, ...] = ()
    issuer: str = ""
    jwks_url: str = ""
    decryption_key_files: tuple[str, ...] = ()
    instance: str = ""
    max_age_s: int = DEFAULT_AGE_S

    @property
    def publisher(self) -> ExternalIssuer | None:
        """The issuer that publishes the keys of its JWTs; None when its calls are no JWTs."""
        if not self.issuer and not self.jwks_url:
            return None
        return ExternalIssuer(
            issuer=self.issuer,
            audience=frozenset(),
            role_paths=(),
            roles={},
            jwks_url=self.jwks_url,
        )


def parse_relay_sources(text: str) -> tuple[RelaySource, ...]:
    """Read the JSON list of sources.

    Raise `ValueError` with half a sentence: which one, and what. It never repeats a signing key.
    """
    sources = parse_entries(text, _source, fields=_FIELDS, most=MAX_SOURCES, plural="sources")
    names = [source.name for source in sources]
    for number, name in enumerate(names, 1):
        if name in names[number:]:
            raise ValueError(f"entry {number}: its name stands there twice")
    return sources


def _source(entry: Mapping[str, Any]) -> RelaySource:
    source = RelaySource(
        name=_name(entry.get("name")),
        signing_keys=_texts(entry, "signing_keys"),
        signing_key_files=_files(entry, "signing_key_files"),
        issuer=_url(entry, "issuer"),
        jwks_url=_url(entry, "jwks_url"),
        decryption_key_files=_files(entry, "decryption_key_files"),
        instance=_texts(entry, "instance", 1)[0] if "instance" in entry else "",
        max_age_s=_max_age(entry.get("max_age", DEFAULT_AGE_S)),
    )
    is_keyed = source.signing_keys or source.signing_key_files
    if not is_keyed and source.publisher is None:
        raise ValueError("signing_keys, signing_key_files, issuer or jwks_url must be given")
    if source.decryption_key_files and source.publisher is None:
        raise ValueError(
            "decryption_key_files needs issuer or jwks_url: what is encrypted is a JWT"
        )
    return source


def _name(given: object) -> str:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ValueError("name must be 1 to 100 letters, digits, _, - and dots, no dot first")
    return given


def _texts(entry: Mapping[str, Any], name: str, most: int = MAX_KEYS) -> tuple[str, ...]:
    if name not in entry:
        return ()
    given = entry[name]
    several: Sequence[object] = given if isinstance(given, list) and most > 1 else [given]
    if not 0 < len(several) <= most:
        raise ValueError(f"{name} must be a text, or a list of 1 to {most} texts")
    texts = [text for text in several if isinstance(text, str) and 0 < len(text) <= MAX_CHARS]
    # Half of a surrogate pair could not be made bytes of.
    if len(texts) < len(several) or not all(text.isprintable() for text in texts):
        raise ValueError(f"{name} must be printable texts of 1 to {MAX_CHARS} characters")
    return tuple(texts)


def _files(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    paths = _texts(entry, name)
    if not all(path.startswith("/") for path in paths):
        # The processes that read them may work in another directory.
        raise ValueError(f"{name} must be absolute paths")
    return paths


def _url(entry: Mapping[str, Any], name: str) -> str:
    for text in _texts(entry, name, 1):
        try:
            check_callable(text)
        except ValueError as problem:
            raise ValueError(f"{name}: {problem}") from None
        return text
    return ""


def _max_age(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MAX_AGE_S:
        raise ValueError(f"max_age must be a whole number of seconds from 1 to {MAX_AGE_S}")
    return given
