"""Messages that targets may replace: how targets see them, and how their responses are read.

The body of a response is the message itself, whole: nothing is merged.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, Protocol, TypeVar

from outrider.domain.formats import go_json

M = TypeVar("M")

JsonObject = dict[str, Any]

MAX_DEPTH = 48
"""Objects and lists inside each other: `google.protobuf.Struct`, with the message around it, is no
deeper before protobuf's own bound of 100 messages is reached."""

_MAY_BE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_LONG = 309
"""The longest number that a float can hold has so many digits."""


class _LongNumbers:
    """A pattern for that many digits in a row, which takes 0.4 us for 1 KiB instead of 17."""

    _PLAIN = bytes(ord("0") if sign in b"0123456789" else ord(" ") for sign in range(256))

    def search(self, body: bytes) -> bool:
        """Whether there may be such a number; nearly every body has none."""
        return len(body) >= _LONG and b"0" * _LONG in body.translate(self._PLAIN)


_MAY_BE_HUGE = _LongNumbers()


class InvalidResponse(Exception):
    """A response that cannot be applied. The text is a sentence for the log, without the body.

    `is_json` is False when the body is not JSON at all.
    """

    def __init__(self, reason: str, *, is_json: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_json = is_json


class MessageType(Protocol[M]):
    """A kind of message: how it is shown to targets, and read from their responses."""

    def render(self, message: M, /) -> str:
        """Return compact JSON, escaped as Go does."""
        ...

    def parse(self, body: bytes, /) -> M:
        """Return the message that the body is. Raise `InvalidResponse`."""
        ...

    def empty(self) -> M:
        """Return the message without any field."""
        ...


class JsonObjects:
    """`MessageType` of calls whose messages are any JSON object."""

    def render(self, message: JsonObject, /) -> str:
        """Raise `ValueError` for what JSON cannot express, such as infinities."""
        return go_json.dumps(message)

    def parse(self, body: bytes, /) -> JsonObject:
        """Return the object. Raise `InvalidResponse` for everything else."""
        value = parse_json(body)
        if not isinstance(value, dict):
            raise InvalidResponse("the answer is not a JSON object")
        return value

    def empty(self) -> JsonObject:
        """Return a new empty object."""
        return {}


JSON_OBJECTS = JsonObjects()


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a response's body, ready to be printed again.

    Raise `InvalidResponse` when it is not JSON (RFC 8259), and for what is nested too deep or too
    large a number. Half a surrogate pair becomes U+FFFD, as in Go.
    """
    # To check every integer costs time, and nearly no response has one so long.
    decoder = _BOUNDING_DECODER if _MAY_BE_HUGE.search(body) else _DECODER
    try:
        value = decoder.decode(body.decode())
    except RecursionError:
        raise InvalidResponse("the answer is nested too deep", is_json=False) from None
    except ValueError:
        raise InvalidResponse("the answer is not JSON", is_json=False) from None
    # Counting brackets is quick, and nearly every response has fewer than the bound.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(value):
        raise InvalidResponse(f"the answer is nested deeper than {MAX_DEPTH}")
    return _without_half_pairs(value) if _MAY_BE_HALF.search(body) else value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("the number is too large")
    return value


def _bounded(digits: str) -> int:
    _finite(digits)
    return int(digits)


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constants)
_BOUNDING_DECODER = json.JSONDecoder(
    parse_int=_bounded, parse_float=_finite, parse_constant=_no_constants
)


def _is_deep(value: Any) -> bool:
    level: list[JsonObject | list[Any]] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for container in level for inner in _containers_in(container)]
        if not level:
            return False
    return True


def _containers_in(value: JsonObject | list[Any]) -> Iterator[JsonObject | list[Any]]:
    members = value.values() if isinstance(value, dict) else value
    return (member for member in members if isinstance(member, dict | list))


def _without_half_pairs(value: object) -> object:
    return json.loads(go_json.with_whole_pairs(json.dumps(value, ensure_ascii=False)))
