"""What the OpenAPI document says of a value is what the server checks: every bound, every pattern."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from protobuf import (
    DescField,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
)

from api.access.tenants import METHODS
from api.rest.test_openapi import document
from api.sample import Lines
from outrider.api.rpc.codecs import codecs
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.validation.validation import (
    field_checks,
    first_violation,
    kind_of_member,
    prefix_of,
    rules_of,
    singular_check,
)
from outrider.domain.events.cloud_event import cloud_event
from outrider.errors import InvalidRequest

FORMATS = Draft202012Validator.FORMAT_CHECKER
_, JSON = codecs(ErrorMapper(Lines()))

NUMBERS = ("0", "1", "18446744073709551615", "18446744073709551616", "99999999999999999999")
DIGITS = ("9223372036854775807", "9223372036854775808", "12345678901234567890")
TEXTS = {
    "uint64": (*NUMBERS, *DIGITS, "-1", "", " 1", "1 ", "x", "0x1", "184467440737095516150"),
    "date-time": (
        "2026-11-23T07:00:00Z",
        "2026-11-23T07:00:00.123456789+05:30",
        "2026-11-23T07:00:00.1234567890Z",
        "0001-01-01T00:00:00Z",
        "0000-12-31T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
        "2026-11-23t07:00:00z",
        "2026-11-23 07:00:00Z",
        "2026-11-23T07:00:00",
        "2026-11-23T07:00Z",
        "2016-12-31T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T07:00:00+24:00",
        "2026-11-23T07:00:00.Z",
    ),
    "duration": (
        *("0s", "1s", "0.000000001s", "10s", "269.999999999s", "270s", "270.0s", "270.000000001s"),
        *("271s", "604800s", "604800.000s", "604801s", "604800.1s", "315576000000s"),
        *("315576000001s", "315576000000.5s", "999999999999s", "-1s", "-0.5s", "-315576000000s"),
        *("-315576000001s", "1.0000000001s", "1", "1S", "s", ".5s", "+1s", " 1s", "1m", ""),
    ),
    "base64": (
        *(
            "YQ==",
            "YQ",
            "YWI=",
            "YWI",
            "YWJj",
            "-_-_",
            "+/+/",
            "",
            "Y",
            "YQ= =",
            "Y*Q=",
            "YQ==YQ==",
        ),
        *("YWJj" * 2730 + tail for tail in ("", "YWI=", "YWI", "YWJj", "YQ")),
    ),
}
JUNK = ("", "a", "a.b", "a..b", ".a", "/a.B/C", "/a/", "/a.B/C/D", "ä", "a b", "a\0b", "*", "🪝")


@dataclass(frozen=True)
class Value:
    """A field of a request, and what the document says of it."""

    field: DescField
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.field.parent.type_name}.{self.field.name}"

    @property
    def format(self) -> str:
        """Which texts are worth trying."""
        if self.schema.get("contentEncoding"):
            return "base64"
        if "s$" in self.schema.get("pattern", ""):
            return "duration"
        return self.schema.get("format", "")

    def fits(self, value: Any) -> bool:
        """Whether the document allows it."""
        return fits(value, self.schema)

    def is_taken(self, value: Any) -> bool:
        """Whether the server reads it, and finds nothing wrong with it."""
        body = json.dumps({self.field.json_name: value}).encode()
        try:
            message = JSON.decode(body, self.field.parent.type)
        except (ValueError, TypeError, OverflowError):
            return False
        return first_violation(checks_of(self.field), message) is None


@cache
def checks_of(field: DescField) -> tuple[Any, ...]:
    """The checks of one field, whatever the rest of the message is."""
    oneofs = [oneof for oneof in field.parent.oneofs if field in oneof.fields]
    if not oneofs:
        return tuple(field_checks(field))
    of_value = singular_check(rules_of(field), kind_of_member(field), prefix_of(field))
    local = oneofs[0].local_name
    return () if of_value is None else (lambda message: of_value(getattr(message, local).value),)


@cache
def checker(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return Draft202012Validator(whole, format_checker=FORMATS)


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """As a client checks it that knows our own bound of bytes."""
    texts = [text for text in (value if isinstance(value, list) else [value]) if is_text(text)]
    most = schema.get("x-max-bytes", float("inf"))
    is_valid = checker(json.dumps(schema)).is_valid(value)
    return is_valid and all(len(text.encode()) <= most for text in texts)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


@cache
def values() -> tuple[Value, ...]:
    """Every field of every request whose value is no message."""
    return tuple(value for desc in requested() for value in values_of(desc))


def requested() -> Iterator[DescMessage]:
    """Every message of ours that can be in a request."""
    waiting = [method.input for method in METHODS if not method.parent.type_name.startswith("grpc")]
    seen: set[str] = set()
    while waiting:
        desc = waiting.pop()
        if desc.type_name not in seen and not desc.type_name.startswith("google."):
            seen.add(desc.type_name)
            yield desc
            waiting += [inner for field in desc.fields if (inner := message_of(field)) is not None]


def message_of(field: DescField) -> DescMessage | None:
    match field.value:
        case DescFieldValueMessage(message=message):
            return message
        case DescFieldValueList(element=DescMessage() as element):
            return element
        case DescFieldValueMap(value=DescMessage() as value):
            return value
        case _:
            return None


def values_of(desc: DescMessage) -> Iterator[Value]:
    schema = document()["components"]["schemas"].get(desc.type_name, {})
    for field in desc.fields:
        found = schema.get("properties", {}).get(field.json_name)
        if found is not None and found.get("type") in {"string", "integer", "number", "boolean"}:
            yield Value(field, found)


def lists() -> Iterator[Value]:
    """Every list of values that are no messages."""
    for desc in requested():
        schema = document()["components"]["schemas"].get(desc.type_name, {})
        for field in desc.fields:
            found = schema.get("properties", {}).get(field.json_name, {})
            if found.get("type") == "array" and found["items"].get("type") in {"string", "integer"}:
                yield Value(field, found)


def tried(schema: Mapping[str, Any], format_: str) -> Iterator[Any]:
    """The ends of every bound, one beyond them, and what is spelled wrong."""
    if schema["type"] in {"integer", "number"}:
        ends = [schema[name] for name in ("minimum", "maximum") if name in schema]
        yield from (end + step for end in [0, *ends] for step in (-1, 0, 1))
        yield from (0.5, 1.5, 2**32, 2**64, -(2**63))
    elif schema["type"] == "boolean":
        yield from (True, False)
    elif format_ in TEXTS:
        yield from TEXTS[format_]
    else:
        yield from JUNK
        lengths = (schema.get(name, 0) for name in ("minLength", "maxLength"))
        sizes = {max(0, length + step) for length in lengths for step in (-1, 0, 1)}
        yield from (letter * size for size in sizes for letter in ("a", "ä", "🪝"))


@pytest.mark.parametrize("value", values(), ids=lambda value: value.name)
def test_what_the_document_says_of_a_value_is_what_the_server_checks(value):
    """
    A generated client sends what the document allows, and refuses what it does not.
    """
    differences = [
        (text, value.fits(text), value.is_taken(text))
        for text in tried(value.schema, value.format)
        if value.fits(text) != value.is_taken(text)
    ]

    assert [] == differences


@pytest.mark.parametrize(
    "value",
    [value for value in values() if "pattern" in value.schema],
    ids=lambda value: value.name,
)
def test_whatever_matches_a_pattern_is_taken(value):
    """
    Tools that test servers make their requests of the patterns.
    """

    @settings(
        max_examples=60, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    @given(st.from_regex(value.schema["pattern"].removesuffix("$") + r"\Z"))
    def check(text: str) -> None:
        assert value.is_taken(text) or not value.fits(text)

    check()


@pytest.mark.parametrize("value", list(lists()), ids=lambda value: value.name)
def test_a_list_has_the_bounds_of_the_document(value):
    """
    How many items there may be, and whether one may be there twice.
    """
    schema, item = value.schema, value.schema["items"]
    sizes = {
        max(0, schema.get(name, 1) + step)
        for name in ("minItems", "maxItems")
        for step in (-1, 0, 1)
    }
    enum = [
        name for name in item.get("enum", ()) if name not in item.get("not", {}).get("enum", ())
    ]
    numbers = range(item.get("minimum", 0), item.get("maximum", 2**31) + 1)

    def nth(index: int) -> Any:
        if enum:
            return enum[index % len(enum)]
        return numbers[index % len(numbers)] if item["type"] == "integer" else f"item-{index}"

    made = [[nth(index) for index in range(size)] for size in sizes] + [[nth(0), nth(0)]]
    differences = [
        (len(items), value.fits(items), value.is_taken(items))
        for items in made
        if value.fits(items) != value.is_taken(items)
    ]

    assert [] == differences


CLOUD_EVENT = document()["paths"]["/v1/events"]["post"]["requestBody"]["content"][
    "application/cloudevents+json"
]["schema"]
REQUIRED = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid"}


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "sequence", "userid"])
def test_the_attributes_of_cloud_events_too(name):
    """
    They have no rules in the proto files: what is written by hand is soon wrong.
    """
    schema = CLOUD_EVENT["properties"][name]
    kind = {"time": "date-time", "sequence": "uint64"}.get(name, "")

    def is_taken(text: str) -> bool:
        try:
            cloud_event({**REQUIRED, name: text}, None, "CloudEvent")
        except InvalidRequest:
            return False
        return True

    # RFC 3339 lets a space stand for the T, and JSON Schema's format does not.
    may_be_wider = name == "time"
    assert [] == [
        (text, fits(text, schema), is_taken(text))
        for text in tried(schema, kind)
        if fits(text, schema) != is_taken(text) and not (may_be_wider and is_taken(text))
    ]


def test_there_is_much_to_try():
    """
    Else everything above would pass.
    """
    kinds = {value.format for value in values()}

    assert {"uint64", "date-time", "duration", "base64", "double", ""} <= kinds
    assert len(values()) > 100
