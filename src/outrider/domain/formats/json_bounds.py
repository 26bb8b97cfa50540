"""Count the values and the nesting of a JSON text before it is parsed.

Both are counted in the bytes. Invalid JSON may pass: a parser stops at the error, and the counts
are right up to there.
"""

from __future__ import annotations

from array import array
from itertools import accumulate

MAX_JSON_VALUES = 20_000
"""Objects, arrays, texts, numbers, booleans and nulls of one JSON text, the outermost included.

To read, check and print so many takes about 5 ms, during which no other call goes on.
"""

MAX_BATCH_VALUES = 50_000
"""The same of a call that brings several texts, such as the payloads of 1000 events."""

# Pieces between quotation marks are looked at in parts, so that counting ends soon after the bound.
_PART_BYTES = 1 << 16
_OTHER_THAN_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ROUNDS = 4
# One step in, one step out, as signed bytes.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def check_values(body: bytes | bytearray, limit: int = MAX_JSON_VALUES) -> None:
    """Raise `ValueError` for a JSON text of more than `limit` values."""
    if not may_have_more(len(body), limit):
        return
    # Nearly every text has fewer commas and brackets, even when those in its texts count.
    if body.count(b",") + body.count(b"[") + body.count(b"{") < limit:
        return
    if count_values(body, limit) > limit:
        raise ValueError(f"the JSON has more than {limit} values")


def may_have_more(length: int, values: int) -> bool:
    """Whether a JSON text of this length, in signs or bytes, can have more than `values` values.

    Each needs two: a digit and a comma.
    """
    return length > 2 * values


def most_values(text: str) -> int:
    """Return a number that the values of a JSON text do not exceed; quick, and rarely far off."""
    return text.count(",") + text.count("[") + text.count("{") + 1


def count_values(body: bytes | bytearray, enough: int) -> int:
    """Return how many values a JSON text has; counting may end when there are more than `enough`.

    `body` must be JSON, or the number means nothing.
    """
    text = _without_escapes(body)
    count, is_inside, position, last = 1, False, 0, b""
    while position < len(text) and count <= enough:
        part = text[position : position + _PART_BYTES]
        position += _PART_BYTES
        pieces = part.split(b'"')
        outside = b'"'.join(pieces[is_inside::2])
        is_inside ^= len(pieces) % 2 == 0
        count += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        # An empty object or array may be cut in two by the end of a part.
        plain = last + outside.translate(None, b" \t\r\n")
        count -= plain.count(b"[]") + plain.count(b"{}")
        last = b"" if is_inside else plain[-1:]
    return count


def is_deeper(body: bytes | bytearray, depth: int) -> bool:
    """Whether a JSON text has more than `depth` objects and arrays inside each other."""
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    unquoted = b"".join(_without_escapes(body).split(b'"')[::2])
    brackets = unquoted.translate(None, _OTHER_THAN_BRACKETS)
    # Without what is innermost little is left of nearly every text. A round takes two levels at most.
    left = brackets
    for _ in range(_ROUNDS):
        left = left.replace(b"{}", b"").replace(b"[]", b"")
    if len(left) + 2 * _ROUNDS <= depth:
        return False
    return max(accumulate(array("b", brackets.translate(_STEPS))), default=0) > depth


def _without_escapes(body: bytes | bytearray) -> bytes | bytearray:
    """Leave out what is escaped, so that every quotation mark begins or ends a text."""
    # Backslashes of a run belong together in pairs from its left.
    return body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
