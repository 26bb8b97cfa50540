"""Check the bounds of JSON from callers before a parser reads it.

protobuf-py-ext 0.7 reads a value of the wrong type without a limit: about thirty thousand brackets
in place of a text overflow the stack, and the process dies.
"""

from __future__ import annotations

from outrider.domain.formats.json_bounds import MAX_BATCH_VALUES, check_values, is_deeper

MAX_DEPTH = 200


def check_depth(data: bytes | bytearray) -> None:
    """Raise `ValueError` for JSON that is nested deeper than anything should be.

    What is not JSON may pass: a reader stops where it is wrong, and up to there the depth is
    counted right.
    """
    if is_deeper(data, MAX_DEPTH):
        raise ValueError(f"JSON is nested more than {MAX_DEPTH} levels deep")


def check_bounds(data: bytes | bytearray) -> None:
    """Raise `ValueError` for JSON of too many values, or nested too deep."""
    check_values(data, MAX_BATCH_VALUES)
    check_depth(data)
