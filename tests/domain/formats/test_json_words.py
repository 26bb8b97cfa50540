"""Errors of libraries in the words of JSON."""

from __future__ import annotations

import pytest

from outrider.domain.formats.json_words import json_words

SPOKEN = {
    "expected string got: <class 'int'> for field a.B.c": "expected a text, got a number for field a.B.c",
    "expected list got <class 'str'> for field a.B.c": "expected a list, got a text for field a.B.c",
    "expected dict got <class 'list'> for field a.B.c": "expected an object, got a list for field a.B.c",
    "unexpected json type: <class 'bool'> for field a.B.c": "unexpected a boolean for field a.B.c",
    "expected base64-encoded string got: <class 'float'>": "expected Base64, got a number",
    "<class 'NoneType'> or <class 'Whatever'>": "null or another value",
    "cannot decode google.protobuf.Timestamp from JSON: {'k': None}": (
        "cannot decode google.protobuf.Timestamp from JSON: an object"
    ),
    "cannot decode Call from JSON: [True]": "cannot decode Call from JSON: a list",
    "cannot decode Call from JSON: None": "cannot decode Call from JSON: null",
    "cannot decode Call from JSON: True": "cannot decode Call from JSON: true",
    "cannot decode Call from JSON: 1.5": "cannot decode Call from JSON: 1.5",
    "cannot decode google.protobuf.Timestamp from JSON: invalid RFC 3339 string": (
        "cannot decode google.protobuf.Timestamp from JSON: invalid RFC 3339 string"
    ),
    "Expected `str`, got `array` - at `$.a`": "Expected a text, got a list - at `$.a`",
    "expected value: line 1 column 1 (char 0)": "expected value: line 1 column 1 (char 0)",
}


@pytest.mark.parametrize("text", SPOKEN)
def test_types_have_the_names_of_json(text):
    """
    What has nothing of Python in it stays.
    """
    assert SPOKEN[text] == json_words(text)
