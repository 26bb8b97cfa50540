"""Check values as protobuf's JSON does: one check for each type, as in Go's `protojson`.

Numbers are `Number`, so that none is rounded before it is checked. A check returns None, or what
the value must be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from outrider.domain.formats.json_members import Number
from outrider.domain.formats.rfc3339 import nanoseconds

Check = Callable[[Any], str | None]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"-?([0-9]{1,12})(?:\.[0-9]{1,9})?s")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)(={0,2})")
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_MAX_DURATION_S = 315_576_000_000
_MAX_FLOAT, _MAX_DOUBLE = 3.4028235677973366e38, 1.7976931348623157e308
# The longest integer has 20 digits; what is longer has zeros behind the point.
_MAX_DIGITS, _LONG = 100, 20


def _text(value: Any) -> str | None:
    return None if type(value) is str else "a string"


def _flag(value: Any) -> str | None:
    return None if value is True or value is False else "true or false"


def _integer(bits: int, *, signed: bool) -> Check:
    bounds = range(-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else range(2**bits)
    rule = f"an integer of {bits} bits" + ("" if signed else " that is not negative")

    def check(value: Any) -> str | None:
        if not isinstance(value, str) or len(value) > _MAX_DIGITS or not _NUMBER.fullmatch(value):
            return rule
        if len(value) <= _LONG and value.lstrip("-").isdigit():
            return None if int(value) in bounds else rule
        number = Decimal(value)
        if number and number.adjusted() > _LONG:
            return rule
        return None if number == number.to_integral_value() and int(number) in bounds else rule

    return check


def _real(most: float) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "a number"
        if not _NUMBER.fullmatch(value):
            return None if value in _NOT_FINITE and type(value) is str else "a number"
        return None if abs(float(value)) <= most else "a number that the field can hold"

    return check


def _octets(value: Any) -> str | None:
    if type(value) is not str:
        return "Base64"
    # Go takes lines of Base64.
    text = value.replace("\r", "").replace("\n", "")
    found = _BASE64.fullmatch(text)
    if found is None:
        return "Base64"
    padding, length = len(found[1]), len(text)
    fits = length % 4 == 0 if padding else length % 4 != 1
    return None if fits else "Base64"


def _timestamp(value: Any) -> str | None:
    if type(value) is str:
        try:
            nanoseconds(value)
        except ValueError:
            pass
        else:
            return None
    return "a time such as 2030-01-31T12:00:00Z"


def _duration(value: Any) -> str | None:
    found = _DURATION.fullmatch(value) if type(value) is str else None
    fits = found is not None and int(found[1]) <= _MAX_DURATION_S
    return None if fits else "a duration such as 1.5s"


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "an object"


def _array(value: Any) -> str | None:
    return None if isinstance(value, list) else "an array"


def _anything(value: Any) -> str | None:  # noqa: ARG001 - every check takes one
    return None


def enum_check(names: frozenset[str]) -> Check:
    """A check for one of these names, or any number."""

    def check(value: Any) -> str | None:
        if isinstance(value, Number):
            return _INT32(value) and "a name of the enum or its number"
        return None if isinstance(value, str) and value in names else "a name of the enum"

    return check


_INT32 = _integer(32, signed=True)

CHECKS: dict[str, Check] = {
    "b": _flag,
    "s": _text,
    "y": _octets,
    "i": _INT32,
    "I": _integer(64, signed=True),
    "u": _integer(32, signed=False),
    "U": _integer(64, signed=False),
    "f": _real(_MAX_FLOAT),
    "d": _real(_MAX_DOUBLE),
    "T": _timestamp,
    "D": _duration,
    "S": _object,
    "A": _object,
    "L": _array,
    "V": _anything,
    "M": _text,
}
"""By the letter that `method_schemas.json` has for a type that is no message and no enum.

Capitals after the integers are well-known types: Timestamp, Duration, Struct, Any, ListValue, Value
and FieldMask. A wrapper is its scalar.
"""
