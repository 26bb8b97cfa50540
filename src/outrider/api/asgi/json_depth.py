"""How deep JSON is nested, found out before anything recurses into it.

protobuf-py-ext 0.7 reads a value that has the wrong type without a limit: some thirty thousand
brackets where a text should be overrun the stack, and the process dies.
"""

from __future__ import annotations

from array import array
from itertools import accumulate

MAX_DEPTH = 200

_DEEPER, _OUT, _OTHER = b"[{", b"]}", bytes(set(range(256)) - set(b"[]{}"))
# One step in, one step out, as signed bytes.
_STEPS = bytes.maketrans(_DEEPER + _OUT, b"\x01\x01\xff\xff")


def check_depth(data: bytes | bytearray) -> None:
    """Raise `ValueError` for JSON that is nested deeper than anything should be.

    Linear, and quick for small texts. What is not JSON may pass: a reader stops where it is wrong,
    and up to there the depth is counted right.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    # Backslashes of a run belong together in pairs from its left; then every quotation mark that
    # is left begins or ends a text.
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    unquoted = b"".join(unescaped.split(b'"')[::2])
    steps = array("b", unquoted.translate(_STEPS, _OTHER))
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise ValueError(f"JSON is nested more than {MAX_DEPTH} levels deep")
