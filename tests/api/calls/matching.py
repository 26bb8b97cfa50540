"""What expected answers contain where the value itself is not known."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Fill = Callable[[Any], Any]
"""Puts what was kept into a value: `$target` becomes the id."""


@dataclass(frozen=True)
class Window:
    """The time in which the call of a row was made; at `since` the call before it ended."""

    since: datetime
    until: datetime

    def contains(self, value: object) -> bool:
        """Whether this is a time of protobuf's JSON, inside."""
        return isinstance(value, str) and self.since < datetime.fromisoformat(value) <= self.until


class Like:
    """Equal to every value that it accepts."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, title: str, accepts: Callable[[Any], bool]) -> None:
        self._title = title
        self._accepts = accepts

    def __eq__(self, other: object) -> bool:
        return self._accepts(other)

    def __repr__(self) -> str:
        return f"<{self._title}>"


class Blank(Protocol):
    """A part of a request or an answer that is known only when the row runs."""

    def filled(self, fill: Fill, window: Window) -> Any:
        """What to send or to compare with."""
        ...


class Now:
    """A time while the call was made."""

    def filled(self, _fill: Fill, window: Window) -> Like:
        return Like(f"after {window.since}, until {window.until}", window.contains)


@dataclass(frozen=True)
class Bytes:
    """The bytes of a text, which are Base64 in JSON."""

    text: str

    def filled(self, fill: Fill, _window: Window) -> str:
        return b64encode(fill(self.text).encode()).decode()


@dataclass(frozen=True)
class JsonBytes:
    """The bytes of this JSON, in Base64."""

    document: Any

    def filled(self, fill: Fill, _window: Window) -> Like:
        document = fill(self.document)
        return Like(f"bytes of {document}", lambda value: document == json.loads(b64decode(value)))


@dataclass(frozen=True)
class NewKey:
    """A signing key that is not the one of before."""

    before: str

    def filled(self, fill: Fill, _window: Window) -> Like:
        before = fill(self.before)
        return Like("a new signing key", lambda value: is_signing_key(value) and value != before)


@dataclass(frozen=True)
class ListWith:
    """A list that has an object with these members, whatever else."""

    part: Mapping[str, Any]

    def filled(self, fill: Fill, _window: Window) -> Like:
        part = fill(self.part)
        return Like(f"a list with {part}", lambda rows: any(has(row, part) for row in rows))


@dataclass(frozen=True)
class ListWithout:
    """A list that has no object with these members."""

    part: Mapping[str, Any]

    def filled(self, fill: Fill, _window: Window) -> Like:
        part = fill(self.part)
        return Like(f"a list without {part}", lambda rows: not any(has(row, part) for row in rows))


def has(row: Mapping[str, Any], members: Mapping[str, Any]) -> bool:
    """Whether an object has these members, and perhaps others."""
    return all(name in row and value == row[name] for name, value in members.items())


def is_id(value: object) -> bool:
    """Ids are 63-bit numbers with eighteen or nineteen digits."""
    return isinstance(value, str) and value.isdecimal() and 18 <= len(value) <= 19


def is_signing_key(value: object) -> bool:
    """Thirty-six letters and digits, as ZITADEL makes them."""
    return isinstance(value, str) and len(value) == 36 and value.isascii() and value.isalnum()


def is_date(value: object) -> bool:
    """A time of protobuf's JSON, whenever."""
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def is_duration(value: object) -> bool:
    """A span of time of protobuf's JSON; a call takes some, and none of these long."""
    return isinstance(value, str) and value.endswith("s") and 0 < float(value[:-1]) < 20


NOW = Now()
A_DURATION = Like("a duration", is_duration)
A_DATE = Like("a date", is_date)
AN_ID = Like("an id", is_id)
A_SIGNING_KEY = Like("a signing key", is_signing_key)
A_TOKEN = Like("a token", lambda value: isinstance(value, str) and value.startswith("otr_"))
