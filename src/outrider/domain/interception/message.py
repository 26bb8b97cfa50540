"""Messages that targets may replace: print them for targets, and parse the responses.

The body of a response is the whole message: nothing is merged.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn, Protocol, TypeVar

from outrider.domain.formats import go_json, json_members
from outrider.domain.formats.json_bounds import MAX_JSON_VALUES, check_values, is_deeper
from outrider.domain.formats.json_members import Number

M = TypeVar("M")
_SPACE = " \t\r\n"

JsonObject = dict[str, Any]

MAX_DEPTH = 48
"""Objects and lists inside each other: `google.protobuf.Struct`, with the message around it, is no
deeper before protobuf's own bound of 100 messages is reached."""

MAX_PRINTED_VALUES = 5_000
"""Values of the answer to a function whose numbers stay as they are written."""

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

    `is_json` is False when the body is not JSON at all, or so large that it was not read.
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


class JsonTexts:
    """`MessageType` of messages that are the text of one JSON object, which nothing is made of.

    Numbers, the order of members, what is written with escapes and names that are there twice stay
    as they are.
    """

    def render(self, message: str, /) -> str:
        """Return compact JSON, escaped as Go does. The text must be JSON."""
        return go_json.compact(message)

    def parse(self, body: bytes, /) -> str:
        """Return the text of the object. Raise `InvalidResponse` for everything else."""
        if not isinstance(_decoded(body, _CHECKING_DECODER), dict):
            raise InvalidResponse("the answer is not a JSON object")
        return body.decode().strip(_SPACE)

    def empty(self) -> str:
        """Return an object without members."""
        return "{}"


JSON_TEXTS = JsonTexts()


def check_message(text: str) -> None:
    """Raise `ValueError`, saying what is wrong, unless this is the text of a message.

    That is one JSON object, with as many values and as deep as `MAX_JSON_VALUES` and `MAX_DEPTH`
    say.
    """
    if is_deeper(text.encode(), MAX_DEPTH):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    go_json.check_object(text)


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a response's body, ready to be printed again.

    Raise `InvalidResponse` when it is not JSON (RFC 8259), and for what is nested too deep, has too
    many values, or too large a number. Half a surrogate pair becomes U+FFFD, as in Go.
    """
    # To check every integer costs time, and nearly no response has one so long.
    value = _decoded(body, _BOUNDING_DECODER if _MAY_BE_HUGE.search(body) else _DECODER)
    return _without_half_pairs(value) if _MAY_BE_HALF.search(body) else value


def parse_as_written(body: bytes) -> Any:
    """Return the JSON value of a response's body, its numbers as `Number`. Raise `InvalidResponse`.

    It has at most `MAX_PRINTED_VALUES` values: to print them takes longer than to carry them.
    """
    value = _decoded(body, _NUMBER_DECODER, MAX_PRINTED_VALUES)
    if not _MAY_BE_HALF.search(body):
        return value
    return json_members.parse(go_json.with_whole_pairs(go_json.dumps_as_read(value)))


def _decoded(body: bytes, decoder: json.JSONDecoder, limit: int = MAX_JSON_VALUES) -> Any:
    try:
        check_values(body, limit)
    except ValueError as problem:
        raise InvalidResponse(f"the answer cannot be read: {problem}", is_json=False) from None
    try:
        value = decoder.decode(body.decode())
    except RecursionError:
        raise InvalidResponse("the answer is nested too deep", is_json=False) from None
    except ValueError:
        raise InvalidResponse("the answer is not JSON", is_json=False) from None
    if is_deeper(body, MAX_DEPTH):
        raise InvalidResponse(f"the answer is nested deeper than {MAX_DEPTH}")
    return value


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
_NUMBER_DECODER = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_no_constants
)
# No number is made of what is only carried.
_CHECKING_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constants)
_BOUNDING_DECODER = json.JSONDecoder(
    parse_int=_bounded, parse_float=_finite, parse_constant=_no_constants
)


def _without_half_pairs(value: object) -> object:
    return json.loads(go_json.with_whole_pairs(json.dumps(value, ensure_ascii=False)))
