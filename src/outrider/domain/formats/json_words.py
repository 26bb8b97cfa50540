"""Translate messages of JSON libraries from the terms of Python to the terms of JSON."""

from __future__ import annotations

import re

_KINDS = {
    "NoneType": "null",
    "bool": "a boolean",
    "bytes": "a text",
    "dict": "an object",
    "float": "a number",
    "int": "a number",
    "list": "a list",
    "str": "a text",
}
_CLASS = re.compile(r"<class '(\w+)'>")
# How msgspec names types, between backticks.
_QUOTED = re.compile(r"`(\w+)`")
_MSGSPEC_KINDS = {**_KINDS, "array": "a list", "null": "null", "object": "an object"}
# What protobuf's JSON says about a value that is no message: the value as Python prints it.
_VALUE = re.compile(r"(cannot decode [\w.]+ from JSON): (.*)", re.DOTALL)
_CONSTANTS = {"True": "true", "False": "false", "None": "null"}
_EXPECTED = (
    ("expected dict got", "expected an object, got"),
    ("expected list got", "expected a list, got"),
    ("expected string got:", "expected a text, got"),
    ("expected base64-encoded string got:", "expected Base64, got"),
    ("unexpected json type:", "unexpected"),
)


def json_words(text: str) -> str:
    """Return the text of an error with the types of JSON in place of Python's."""
    for theirs, ours in _EXPECTED:
        text = text.replace(theirs, ours)
    text = _CLASS.sub(lambda found: _KINDS.get(found[1], "another value"), text)
    text = _QUOTED.sub(lambda found: _MSGSPEC_KINDS.get(found[1], found[0]), text)
    return _VALUE.sub(lambda found: f"{found[1]}: {_value(found[2])}", text)


def _value(printed: str) -> str:
    """A value that Python printed; what is not a text is named by its kind."""
    if printed.startswith("{"):
        return "an object"
    if printed.startswith("["):
        return "a list"
    return _CONSTANTS.get(printed, printed)
