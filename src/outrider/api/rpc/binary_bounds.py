"""Count the objects that parsing a binary message would build, before it is parsed.

Two bytes can be a value of a list or of a `Struct`, and each costs about half a microsecond: 4 MiB
of them took seconds, during which no other call made progress. JSON has its own bounds (`json_bounds`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from protobuf import (
    DescField,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
    ScalarType,
)

MAX_ELEMENTS = 6_000
"""Items of lists, entries of maps and values of Structs in one message: 1000 events with 5000 values."""

MAX_FIELDS = 30_000
"""The fields of one message and of the messages in it, which bound its elements."""

MAX_DEPTH = 100
"""Messages inside each other; protobuf reads no more."""

_LENGTH_DELIMITED = 2
_VARINT_BITS = 70
_FIXED = {1: 8, 5: 4}
_TEXTS = frozenset({ScalarType.STRING, ScalarType.BYTES})


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of a message type: by field number, whether each counts, and its type."""

    fields: dict[int, tuple[bool, Elements]] = field(default_factory=dict)


_NOTHING = Elements()


def check_elements(data: bytes | bytearray, desc: DescMessage) -> None:
    """Raise `ValueError` for a binary message of more than `MAX_ELEMENTS` elements."""
    signs = first_bytes(desc)
    # Nearly every message has fewer of the bytes that its elements begin with.
    if sum(data.count(sign) for sign in signs) <= MAX_ELEMENTS:
        return
    counter = _Counter(data)
    counter.count(0, len(data), elements_of(desc))
    if counter.is_over:
        raise ValueError(
            f"the message has more than {MAX_ELEMENTS} items, entries and values; send JSON text"
            " instead of a Struct, or several calls"
        )


@cache
def elements_of(desc: DescMessage) -> Elements:
    """Return the elements of messages of this type."""
    return _elements(desc, {})


def _elements(desc: DescMessage, known: dict[str, Elements]) -> Elements:
    if desc.type_name in known:
        return known[desc.type_name]
    found = known[desc.type_name] = Elements()
    for item in desc.fields:
        element = _element(item, known)
        if element is not None:
            found.fields[item.number] = element
    return found


def _element(item: DescField, known: dict[str, Elements]) -> tuple[bool, Elements] | None:
    match item.value:
        case DescFieldValueMessage(message=message):
            return False, _elements(message, known)
        case DescFieldValueList(element=DescMessage() as message):
            return True, _elements(message, known)
        case DescFieldValueList(element=scalar) if scalar in _TEXTS:
            return True, _NOTHING
        case DescFieldValueMap(value=DescMessage() as message):
            return True, Elements({2: (False, _elements(message, known))})
        case DescFieldValueMap():
            return True, _NOTHING
        case _:
            return None


@cache
def first_bytes(desc: DescMessage) -> tuple[bytes, ...]:
    """The bytes that one of the elements of a message begins with, however long its number is."""
    numbers: set[int] = set()
    seen: list[Elements] = []
    left = [elements_of(desc)]
    while left:
        elements = left.pop()
        if any(elements is other for other in seen):
            continue
        seen.append(elements)
        numbers.update(number for number, (counts, _) in elements.fields.items() if counts)
        left.extend(inner for _, inner in elements.fields.values())
    lowest = {(number << 3 | _LENGTH_DELIMITED) & 0x7F for number in numbers}
    return tuple(bytes([sign]) for low in lowest for sign in (low, low | 0x80))


class _Counter:
    """Counts until there is more than may be. What is no message its reader refuses where it ends."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._elements = 0
        self._fields = 0

    @property
    def is_over(self) -> bool:
        """Return whether the limit is exceeded."""
        return self._elements > MAX_ELEMENTS or self._fields > MAX_FIELDS

    def count(self, at: int, end: int, elements: Elements, depth: int = 0) -> None:
        """Count what is in one message."""
        while at < end and depth <= MAX_DEPTH:
            self._fields += 1
            if self._elements > MAX_ELEMENTS or self._fields > MAX_FIELDS:
                return
            tag, at = self._varint(at)
            kind = tag & 7
            if kind == _LENGTH_DELIMITED:
                size, at = self._varint(at)
                counts, inner = elements.fields.get(tag >> 3, (False, _NOTHING))
                self._elements += counts
                if inner.fields:
                    self.count(at, min(at + size, end), inner, depth + 1)
                at += size
            elif kind == 0:
                _, at = self._varint(at)
            else:
                # Groups have no length: their fields are passed one by one.
                at += _FIXED.get(kind, 0)

    def _varint(self, at: int) -> tuple[int, int]:
        """A number and where it ends; one that is too long ends the message."""
        data = self._data
        value = shift = 0
        while at < len(data) and shift < _VARINT_BITS:
            byte = data[at]
            at += 1
            if byte < 0x80:  # noqa: PLR2004 - no further byte
                return value | byte << shift, at
            value |= (byte & 0x7F) << shift
            shift += 7
        return 0, len(data)
