"""The answers of receivers that cost the event loop most: the worst that are accepted, and beyond.

Each is a name, header fields and a body. `accepted_answers` are as large as the bounds allow;
`refused_answers` are beyond one of them and must cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

Answer = tuple[str, tuple[tuple[str, str], ...], bytes]

MIB = 1024 * 1024
MOST_BYTES = 4 * MIB
"""What an applied answer may have (`MAX_APPLIED_BYTES`)."""
# A few below `MAX_JSON_VALUES`: the message around them counts.
MOST_VALUES = 19_990
_MOST_FIELDS = 190
_MOST_HEAD_BYTES = 60_000


def accepted_answers(size: int = MOST_BYTES, values: int = MOST_VALUES) -> Sequence[Answer]:
    """One JSON object each, at the bounds of size, of values, and of header fields."""
    left = size - 64
    texts = {
        "letters": b"x",
        "line ends": b"\\n",
        "quotation marks": b'\\"',
        "escaped letters": b"\\u0041",
        "halves of pairs": b"\\ud800",
        "halves and letters": b"\\udc00x",
        "what Go escapes": b"<",
        "line separators": "\u2028".encode(),
        "two bytes a letter": "\u00df".encode(),
        "four bytes a letter": "\U0001f600".encode(),
        "brackets in a text": b"[{",
    }
    lists = {
        "objects": (b"{}", 1),
        "lists in lists": (b"[[]]", 2),
        "texts": (b'"<"', 1),
        "floats": (b"0.1", 1),
        "exponents": (b"1e-7", 1),
        "numbers of 200 digits": (b"9" * 200, 1),
        "numbers of 309 digits": (b"1" + b"0" * 308, 1),
        "objects with a member": (b'{"a":1}', 2),
    }
    answers = [
        (name, (), _object(b'"' + part * (left // len(part)) + b'"'))
        for name, part in texts.items()
    ]
    for name, (part, weight) in lists.items():
        count = min(values // weight, left // (len(part) + 1))
        answers.append((name, (), _object(b"[" + b",".join([part] * count) + b"]")))
    members = b",".join(b'"%d":null' % number for number in range(values))
    answers.append(("members", (), b"{" + members + b"}"))
    answers.append(("white space", (), _object(b" " * left + b"1")))
    answers.append(("a long name", (), b'{"' + "\u00c4".encode() * (left // 2) + b'":1}'))
    answers.append(
        ("a long name near an error", (), b'{"forwarded":0,"' + "\u00df".encode() * MIB + b'":1}')
    )
    answers += [(name, fields, b"{}") for name, fields in _fields().items()]
    return answers


def refused_answers(size: int = MOST_BYTES) -> Sequence[Answer]:
    """Many small values, as many as fit, and what is too large or too deep."""
    left = size - 64
    parts = {
        "too many objects": b"{}",
        "too many lists": b"[[]]",
        "too many texts": b'""',
        "too many numbers": b"1",
    }
    answers: list[Answer] = [
        (name, (), _object(b"[" + b",".join([part] * (left // (len(part) + 1))) + b"]"))
        for name, part in parts.items()
    ]
    members = b",".join(b'"%d":null' % number for number in range(200_000))
    answers.append(("too many members", (), b"{" + members + b"}"))
    answers.append(("too deep", (), _object(b"[" * 9_000 + b"]" * 9_000)))
    answers.append(("too many bytes", (), _object(b'"' + b"x" * size + b'"')))
    answers.append(
        (
            "too many in an error",
            (),
            b'{"forwardedStatusCode":[' + b",".join([b"{}"] * 349_000) + b"]}",
        )
    )
    return answers


def _fields() -> dict[str, tuple[tuple[str, str], ...]]:
    cookie = "a" * (_MOST_HEAD_BYTES // _MOST_FIELDS)
    return {
        "cookies": tuple(("Set-Cookie", cookie) for _ in range(_MOST_FIELDS)),
        "a long Retry-After": (("Retry-After", "9" * _MOST_HEAD_BYTES),),
        "a long Keep-Alive": (("Keep-Alive", "timeout" * (_MOST_HEAD_BYTES // 7)),),
        "a long Location": (("Location", "\u00ff" * _MOST_HEAD_BYTES),),
    }


def _object(value: bytes) -> bytes:
    return b'{"a":' + value + b"}"
