"""Print JSON as Go's `encoding/json` does, because ZITADEL's receivers know these bytes.

The output is compact, with `<`, `>`, `&`, U+2028 and U+2029 escaped
(docs/contract.md#body-of-an-event).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, NoReturn

from outrider.domain.formats.json_bounds import (
    MAX_JSON_VALUES,
    check_values,
    may_have_more,
    most_values,
)
from outrider.domain.formats.json_members import Number

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
# Signs that JSON has nowhere stand for what is escaped, and between what is not in quotation marks.
_BACKSLASH, _QUOTE, _TEXT = "\x01", "\x02", "\x00"
# Five times as fast as `_printed`, which messages without a float can do without.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_HALF = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
# It begins with signs, without a lookbehind: the search is three times as fast.
_MAY_BE_FLOAT = re.compile(r"[:,\[]-?[0-9]+[.e]")
# Go switches to the exponent form outside these bounds.
_PLAIN_FROM, _PLAIN_TO = 1e-6, 1e21
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS = 1_000_000_000


def escape(text: str) -> str:
    """Escape what Go escapes in JSON that is otherwise ready."""
    # Written out: a loop takes three times as long, a regular expression a hundred times for 4 KB.
    if "<" in text or ">" in text or "&" in text or "\u2028" in text or "\u2029" in text:
        # Sign by sign a function made them: 4 MiB of them took 600 ms instead of 40.
        for sign in [sign for sign in _ESCAPES if sign in text]:
            text = text.replace(sign, _ESCAPES[sign])
    return text


def quote(text: str) -> str:
    """One JSON string."""
    return escape(encode_basestring(text))


def compact(text: str) -> str:
    """Take the white space out of valid JSON and escape it; numbers and order stay as they are."""
    has_space = " " in text or "\n" in text or "\t" in text or "\r" in text
    return escape(_without_space(text) if has_space else text)


def _without_space(text: str) -> str:
    # Whole strings at a time: an expression that finds each text took three times as long.
    has_escapes = "\\" in text
    if has_escapes:
        text = text.replace("\\\\", _BACKSLASH).replace('\\"', _QUOTE)
    pieces = text.split('"')
    outside = _TEXT.join(pieces[::2])
    for space in " \t\r\n":
        outside = outside.replace(space, "")
    pieces[::2] = outside.split(_TEXT)
    text = '"'.join(pieces)
    if has_escapes:
        text = text.replace(_QUOTE, '\\"').replace(_BACKSLASH, "\\\\")
    return text


def folded(name: str) -> str:
    """A field's name as Go compares it: the case of letters does not matter."""
    # No letter stands for two, as the German sharp s does when Python folds it. A name with such a
    # letter is none that is looked for: only its case goes.
    lower = name.casefold()
    return lower if len(lower) == len(name) else name.lower()


def with_whole_pairs(text: str) -> str:
    """Replace each half of a surrogate pair by U+FFFD, as Go does: no UTF-8 can carry it."""
    if _PAIR.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # Codecs take 0.2 us for each half, and a text of 1 MiB may have 170,000.
    return _HALF.sub("\ufffd", text)


def is_longer(text: str, limit: int) -> bool:
    """Whether JSON has more than `limit` bytes, without the white space in it."""
    return len(text.encode()) > limit and len(_without_space(text).encode()) > limit


def check_object(text: str, limit: int | None = MAX_JSON_VALUES) -> None:
    """Raise `ValueError`, saying where, unless `text` is one JSON object (RFC 8259).

    It has at most `limit` values; None: as many as it likes.
    """
    if not isinstance(_checked(text, limit), dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - callers handle one type


def check_value(text: str, limit: int | None = MAX_JSON_VALUES) -> None:
    """The same of any JSON value."""
    _checked(text, limit)


def _checked(text: str, limit: int | None) -> object:
    if limit is not None and may_have_more(len(text), limit) and most_values(text) > limit:
        check_values(text.encode(), limit)
    try:
        # Numbers are kept as text: no limit of Python's applies to them.
        value: object = json.loads(
            text, parse_int=str, parse_float=str, parse_constant=_no_constants
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value


def number(value: float) -> str:
    """A float as Go prints it: the shortest digits, `e` only outside 1e-6 to 1e21.

    Raise `ValueError` for infinities and NaN, which JSON has no words for.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if value == 0 or _PLAIN_FROM <= abs(value) < _PLAIN_TO:
        # repr has the shortest digits, but switches to the exponent earlier than Go does.
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent):+d}"


def dumps(value: object) -> str:
    """JSON of dicts, lists, strings, numbers, booleans and None, keys in their order.

    A `Number` is taken for a text: `dumps_as_read` prints it as it was written. Raise `ValueError` for infinities and NaN, `TypeError` for what JSON has no type for.
    """
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError):
        return _printed(value)
    # Only floats are printed otherwise by Go; a text that looks like one does no harm.
    may_differ = isinstance(value, float) or _MAY_BE_FLOAT.search(text)
    return _printed(value) if may_differ else escape(text)


def dumps_as_read(value: object) -> str:
    """The same of what was read with its numbers as `Number`. Slower than `dumps`."""
    return _printed(value)


def sorted_members(value: Any) -> Any:
    """The same in the order of names: a Struct has none, and each time it is sent it may come in another."""
    if isinstance(value, dict):
        return {name: sorted_members(value[name]) for name in sorted(value)}
    return [sorted_members(item) for item in value] if isinstance(value, list) else value


def _printed(value: object) -> str:
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return number(float(value)) if isinstance(value, float) else str(value)
    if isinstance(value, Mapping):
        return (
            "{"
            + ",".join(f"{quote(name)}:{_printed(member)}" for name, member in value.items())
            + "}"
        )
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_printed, value)) + "]"
    raise TypeError(f"no JSON for {type(value).__name__}")


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 with as many digits as needed, in UTC, as Go's RFC3339Nano prints it."""
    seconds, fraction = divmod(nanoseconds, _NANOS)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{_second(seconds)}{digits}Z"


# Events that are published together mostly have one: to print it took as long as all else of a body.
@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    at = _EPOCH + timedelta(seconds=seconds)
    return f"{at.year:04d}-{at:%m-%dT%H:%M:%S}"


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
