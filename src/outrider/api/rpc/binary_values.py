"""How many values a binary message has, found out before it is decoded.

A byte or two make an object of Python, which takes two microseconds: four megabytes of empty
messages would keep the process busy for four seconds, for one caller. A text or a number costs
nearly nothing, however long it is.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from protobuf import (
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
    ScalarType,
)

MAX_VALUES = 40_000
"""A field counts one, a message in it two: that is what they cost to decode."""

# A value has two bytes at least: so short a message cannot have too many.
FEW_BYTES = MAX_VALUES

_TEXTS = frozenset({ScalarType.STRING, ScalarType.BYTES})
_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
_MAX_BITS = 70
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


class TooManyValuesError(ValueError):
    """The message has more values than a call may have."""

    def __init__(self) -> None:
        super().__init__(
            f"the message has more than {MAX_VALUES} values; send fewer at once, or JSON as text"
            " where the message has a field for that"
        )


class MapEntry(NamedTuple):
    """A pair of a map. `value` is None where that is no message."""

    value: DescMessage | None


class Packed(NamedTuple):
    """Numbers in a row: each has a byte at least, and no tag."""


Inner = DescMessage | MapEntry | Packed
"""What a field holds that costs more than its length."""


def check_values(data: bytes | bytearray, desc: DescMessage) -> None:
    """Raise `TooManyValuesError` for a message that would take too long to decode.

    What is not a message may pass: decoding stops where it is wrong, and up to there the values
    are counted.
    """
    if len(data) > FEW_BYTES:
        _count(data, desc)


def _count(data: bytes | bytearray, desc: DescMessage) -> None:  # noqa: C901 - calls cost more than what they would do
    # Messages that are still to be looked through: where they are, and what they hold.
    waiting: list[tuple[int, int, DescMessage | MapEntry]] = [(0, len(data), desc)]
    left = MAX_VALUES
    while waiting:
        position, end, inner = waiting.pop()
        fields = _inner_fields(inner)
        while position < end:
            left -= 1
            if left < 0:
                raise TooManyValuesError
            tag = data[position]
            position += 1
            if tag > 127:  # noqa: PLR2004 - a byte of a varint that is not its last
                tag, position = _varint(data, position - 1, end)
            kind = tag & 7
            if kind == _BYTES:
                size = data[position] if position < end else 0
                position += 1
                if size > 127:  # noqa: PLR2004 - as above
                    size, position = _varint(data, position - 1, end)
                field = fields.get(tag >> 3)
                if isinstance(field, Packed):
                    left -= size
                elif field is not None:
                    left -= 1
                    waiting.append((position, min(position + size, end), field))
                position += size
            elif kind == _VARINT:
                _, position = _varint(data, position, end)
            else:
                # Groups have no length; their fields count like those of the message around them.
                position += _FIXED_SIZES.get(kind, 0)
        if left < 0:
            raise TooManyValuesError


def _varint(data: bytes | bytearray, position: int, end: int) -> tuple[int, int]:
    value, shift = 0, 0
    while position < end:
        octet = data[position]
        position += 1
        value |= (octet & 127) << shift
        shift += 7
        if octet < 128:  # noqa: PLR2004 - the last byte
            return value, position
        if shift >= _MAX_BITS:
            break
    # No number: decoding will stop here.
    return 0, end


@cache
def _inner_fields(inner: DescMessage | MapEntry) -> dict[int, Inner]:
    """The fields that hold messages, by number."""
    if isinstance(inner, MapEntry):
        return {} if inner.value is None else {2: inner.value}
    found: dict[int, Inner] = {}
    for field in inner.fields:
        match field.value:
            case DescFieldValueMessage(message=message):
                found[field.number] = message
            case DescFieldValueList(element=element) if isinstance(element, DescMessage):
                found[field.number] = element
            case DescFieldValueList(element=element) if element not in _TEXTS:
                found[field.number] = Packed()
            case DescFieldValueMap(value=value):
                found[field.number] = MapEntry(value if isinstance(value, DescMessage) else None)
    return found
