"""Convert JSON to frozen dataclasses and back: the JSON name of each field, and its type.

Go omits empty members, so an absent name is the field's default, and so is `null`. `extra` keeps
members that a newer sender adds. A value of another type than its field is refused, because code
that expects a text must not get a list. Events are the exception: no sender repeats a refused
event, so `extra` keeps a value of another type, as if its name were unknown.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from outrider_receiver._refusal import InvalidCall, Reason

T = TypeVar("T")
Read = Callable[[Any, str], Any]

# RFC 3339 as Go prints it: up to nine digits of a second.
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_MAX_POSITION = 2**64 - 1
_DIGITS = re.compile(r"[0-9]{1,20}")
_MAX_NUMBER_CHARS = 400  # of a number's digits; a longer one is nobody's sequence


def parse_object(body: bytes, lenient: str) -> dict[str, Any]:
    """The JSON object that the body is, with numbers that JSON has and no more.

    An object with the member `lenient` may have numbers of any size: those that neither `int` nor
    `float` is for are a `Decimal`, and a text where not even that is.

    Raises:
        InvalidCall: it is no JSON object, or deeper or wider than any payload.
    """
    try:
        try:
            value = _parsed(body, _integer, _finite)
        except _HugeNumber:
            value = _parsed(body, _any_integer, _any_number)
            if not isinstance(value, dict) or lenient not in value:
                raise
    except (ValueError, RecursionError):
        raise InvalidCall(Reason.MALFORMED, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidCall(Reason.MALFORMED, "the body is not a JSON object")
    return value


def decode(kind: type[T], found: Mapping[str, Any]) -> T:
    """The dataclass `kind` from a JSON object.

    Raises:
        InvalidCall: a member has another type than its field, unless the kind is lenient.
    """
    plan = _plan(cast("Hashable", kind))
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in found.items():
        if name not in plan:
            extra[name] = value
        elif value is not None:
            attribute, read = plan[name]
            try:
                known[attribute] = read(value, name)
            except InvalidCall:
                if not getattr(kind, "_is_lenient", False):
                    raise
                extra[name] = value
    make: Callable[..., T] = kind
    return make(**known, extra=extra)


def encode(value: object) -> dict[str, Any]:
    """The JSON object that `decode` would read.

    What equals its default is left out, but for the names in the class's `_always`.
    """
    members: dict[str, Any] = {}
    empty = type(value)()
    always: Collection[str] = getattr(value, "_always", ())
    for name, (attribute, _) in _plan(cast("Hashable", type(value))).items():
        current = getattr(value, attribute)
        if attribute in always or current != getattr(empty, attribute):
            members[name] = _plain(current)
    members.update(getattr(value, "extra", {}))
    return members


@lru_cache(maxsize=64)
def _plan(kind: type[Any]) -> dict[str, tuple[str, Read]]:
    """By JSON name: the field, and how it is read."""
    names: Mapping[str, str] = getattr(kind, "_wire", {})
    readers: Mapping[str, Read] = getattr(kind, "_readers", {})
    type_hints = get_type_hints(kind)
    return {
        names.get(field.name, field.name): (
            field.name,
            readers.get(field.name) or _reader(type_hints[field.name]),
        )
        for field in fields(cast("Any", kind))
        if field.name != "extra"
    }


def _reader(hint: Any) -> Read:
    parts = [get_argument for get_argument in get_args(hint) if get_argument is not type(None)]
    if hint in _READERS:
        return _READERS[hint]
    if get_origin(hint) is tuple:
        return listed(_reader(parts[0]))
    if type(None) in get_args(hint):
        return _reader(parts[0])
    if get_origin(hint) is not None:
        return members if parts[1] is Any else texts_by_name
    return nested(hint)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if hasattr(value, "__dataclass_fields__"):
        return encode(value)
    return dict(value) if isinstance(value, Mapping) else value


def text(value: Any, name: str) -> str:
    """Read a string."""
    return cast("str", _of(str, value, name, "a string"))


def whole(value: Any, name: str) -> int:
    """Read a whole number."""
    if isinstance(value, bool):
        raise _wrong(name, "a whole number")
    return cast("int", _of(int, value, name, "a whole number"))


def text_or_digits(value: Any, name: str) -> str:
    """Read a string, or a whole number as one."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else text(value, name)


def position(value: Any, name: str) -> int:
    """Read a whole number from 0 to 2^64 - 1, also one written as a string or with `.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not 0 <= whole(value, name) <= _MAX_POSITION:
        raise _wrong(name, "a whole number")
    return cast("int", value)


def members_or_base64(value: Any, name: str) -> dict[str, Any]:
    """Read a JSON object, or the Base64 of one, as some of ZITADEL's events have it."""
    if not isinstance(value, str):
        return members(value, name)
    signs = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        found = parse_object(b64decode(signs + "=" * (-len(signs) % 4), validate=True), "")
    except ValueError:
        raise _wrong(name, "an object") from None
    return found


def truth(value: Any, name: str) -> bool:
    """Read true or false."""
    return cast("bool", _of(bool, value, name, "true or false"))


def members(value: Any, name: str) -> dict[str, Any]:
    """Read a JSON object as it is."""
    return cast("dict[str, Any]", _of(dict, value, name, "an object"))


def octets(value: Any, name: str) -> bytes:
    """Read Base64."""
    try:
        return b64decode(text(value, name), validate=True)
    except ValueError:
        raise _wrong(name, "Base64") from None


def instant(value: Any, name: str) -> datetime | None:
    """Read RFC 3339, rounded down to microseconds, in UTC. None for Go's zero time, the year 1."""
    found = _TIME.fullmatch(text(value, name))
    if found is None:
        raise _wrong(name, "a time")
    day, clock, fraction, sign, hours, minutes = found.groups()
    micros = (fraction or "").ljust(6, "0")[:6]
    try:
        local = datetime.fromisoformat(f"{day} {clock}.{micros}")
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        shifted = local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        raise _wrong(name, "a time") from None
    return None if shifted.year == 1 else shifted.replace(tzinfo=timezone.utc)


def listed(read: Read) -> Read:
    """Read a list of what `read` reads, as a tuple."""

    def read_all(value: Any, name: str) -> tuple[Any, ...]:
        return tuple(read(element, name) for element in _of(list, value, name, "a list"))

    return read_all


def nested(kind: type[object]) -> Read:
    """Read another dataclass."""

    def read_one(value: Any, name: str) -> object:
        return decode(kind, members(value, name))

    return read_one


def texts_by_name(value: Any, name: str) -> dict[str, tuple[str, ...]]:
    """Read an object whose members are lists of strings: headers."""
    read = listed(text)
    return {member: read(found, name) for member, found in members(value, name).items()}


_READERS: dict[Any, Read] = {
    str: text,
    int: whole,
    bool: truth,
    bytes: octets,
    datetime: instant,
}


def _of(kind: type[object], value: object, name: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(name, expected)
    return value


def _wrong(name: str, expected: str) -> InvalidCall:
    # The name is one of ours: what the caller sent is not repeated.
    return InvalidCall(Reason.MALFORMED, f"{name} of the payload is not {expected}")


def _refuse_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


class _HugeNumber(ValueError):
    """A number that neither `int` nor `float` is for."""


def _parsed(body: bytes, integer: Callable[[str], Any], number: Callable[[str], Any]) -> Any:
    # Not json.loads(bytes), which would read UTF-16 as well.
    return json.loads(
        body.decode("utf-8"),
        parse_constant=_refuse_constant,
        parse_int=integer,
        parse_float=number,
    )


def _finite(digits: str) -> float:
    value = float(digits)
    if value in {float("inf"), float("-inf")}:
        raise _HugeNumber("a number is too large")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_NUMBER_CHARS:
        raise _HugeNumber("a number has too many digits")
    return int(digits)


def _any_integer(digits: str) -> int | Decimal | str:
    return int(digits) if len(digits) <= _MAX_NUMBER_CHARS else _any_decimal(digits)


def _any_number(digits: str) -> float | Decimal | str:
    value = float(digits)
    return value if isfinite(value) else _any_decimal(digits)


def _any_decimal(digits: str) -> Decimal | str:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return digits
