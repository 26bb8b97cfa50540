"""Hide secrets in what is about to be logged: the last line of defence, not the first."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

REDACTED = "***"

# Deeper than anything we log; what is deeper is shown as redacted, not followed.
_MAX_DEPTH = 8

# A name is a secret's when one of its words, or two neighbours, is one of these...
_SECRET_WORDS = frozenset(
    {
        "assertion",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "secrets",
        "token",
        "tokens",
    }
)
_SECRET_PAIRS = frozenset(
    {
        ("access", "key"),
        ("api", "key"),
        ("client", "key"),
        ("database", "url"),
        ("key", "file"),
        ("master", "key"),
        ("private", "key"),
        ("signing", "key"),
        ("signing", "keys"),
    }
)
# ...unless it ends like the name of something about a secret.
_HARMLESS_ENDINGS = frozenset({"at", "count", "date", "id", "ids", "kind", "name", "type"})

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_IN_TEXT = (
    re.compile(r"otr_[A-Za-z0-9_-]{8,}"),
    re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    re.compile(r"(?<=[Bb]earer )[^\s\"',}]+"),
    re.compile(r"(?<=://)[^\s/@\"':]*+:[^\s/@\"']*+(?=@)"),
)
# A JWT's header is JSON and begins with `{"`; it is looked for in what may be three parts of one.
# One expression for all would look through the rest of the text for each beginning.
_PARTS_OF_JWT = re.compile(r"[A-Za-z0-9_.-]{15,}")
_JWT_BEGINS, _MIN_JWT_HEADER = "eyJ", 11


def is_secret_name(name: str) -> bool:
    """Return whether a field or header of this name holds a secret. Any case, any separators."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _HARMLESS_ENDINGS:
        return False
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairwise(words))


def redacted_text(text: str) -> str:
    """The text without our tokens, JWTs, private keys, bearer credentials, and the user information of URLs."""
    for pattern in _IN_TEXT:
        text = pattern.sub(REDACTED, text)
    if _JWT_BEGINS in text:
        text = _PARTS_OF_JWT.sub(_redacted_jwts, text)
    return text


def _redacted_jwts(found: re.Match[str]) -> str:
    parts = deque(found[0].split("."))
    shown: list[str] = []
    while parts:
        part = parts.popleft()
        begin = part.find(_JWT_BEGINS)
        has_header = 0 <= begin <= len(part) - _MIN_JWT_HEADER
        if has_header and len(parts) > 1 and parts[0] and parts[1]:
            part = part[:begin] + REDACTED
            parts.popleft()
            parts.popleft()
        shown.append(part)
    return ".".join(shown)


def redacted(value: Any, depth: int = 0) -> Any:
    """The value with every secret in it redacted: in mappings, sequences and pairs, and in text."""
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, bytes):
        return redacted_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return REDACTED if depth >= _MAX_DEPTH else _redacted_items(value, depth)
    return value


def redacted_field(name: object, value: Any, depth: int = 0) -> Any:
    """The value as it may be shown under this name. Absence is no secret."""
    if value is not None and is_secret_name(_as_name(name)):
        return REDACTED
    return redacted(value, depth)


def _redacted_items(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {name: redacted_field(name, item, depth + 1) for name, item in value.items()}
    if _is_header(value):
        name, content = value
        return [name, redacted_field(_as_name(name), content, depth + 1)]
    return [redacted(item, depth + 1) for item in value]


def _is_header(value: object) -> bool:
    # HTTP headers travel as pairs of text or of bytes.
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004 - a pair
        return False
    return all(isinstance(part, str | bytes) for part in value)


def _as_name(name: object) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)
