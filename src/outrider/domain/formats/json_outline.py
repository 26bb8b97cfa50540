"""The members of a JSON object whose values are nested deeper than a parser goes.

Nothing inside of an object or list is read: it is carried as text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate

from outrider.domain.formats.json_members import Value, members_of

_DEEPER, _OUT, _OTHER = b"[{", b"]}", bytes(set(range(256)) - set(b"[]{}"))
# One step in, one step out, as signed bytes; every other sign is none.
_STEPS = bytes.maketrans(_DEEPER + _OUT + _OTHER, b"\x01\x01\xff\xff" + bytes(len(_OTHER)))


def outline_of(text: str) -> Mapping[str, Value]:
    """Return the members of one JSON object, in order; of a name that is there twice the last.

    Of a value that is an object or a list only the brackets are counted: its `parsed` says nothing.
    Raise `ValueError` for what is no object.
    """
    data = text.encode()
    parts: list[bytes] = []
    containers: list[str] = []
    end = 0
    for begin, behind in _containers(data):
        parts.append(data[end:begin] + f"[{len(containers)}]".encode())
        containers.append(data[begin:behind].decode())
        end = behind
    flat = b"".join([*parts, data[end:]]).decode()
    return {
        name: replace(value, text=containers[int(value.parsed[0])])
        if isinstance(value.parsed, list)
        else value
        for name, value in members_of(flat, last_wins=True).items()
    }


def _containers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of each object and list that is directly in an object."""
    steps = array("b", _without_texts(data).translate(_STEPS))
    begin = depth = 0
    for at, level in enumerate(accumulate(steps)):
        if level > 1 and depth == 1:
            begin = at
        elif level == 1 and depth > 1:
            yield begin, at + 1
        depth = level


def _without_texts(data: bytes) -> bytes:
    """The same with every text blanked out, each sign at its place."""
    # Backslashes of a run belong together in pairs from its left; then every quotation mark that is
    # left begins or ends a text.
    pieces = data.replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
    pieces[1::2] = [b"_" * len(piece) for piece in pieces[1::2]]
    return b'"'.join(pieces)
