"""Checks of single values, made from the rules of the proto files.

A check takes the value of a field and returns a reason, or None if the value is valid. The reasons
are those of protoc-gen-validate 1.0, word for word, because clients of ZITADEL know them
(docs/contract.md#validation).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sized
from typing import Any

from protobuf import DescEnum, ScalarType
from protobuf.wkt import Duration

from outrider.api.validation.go_names import go_duration, go_number
from outrider_api.outrider.options.v1.options_pb import DurationRules, FieldRules, NumberRules

ValueCheck = Callable[[Any], str | None]
Kind = ScalarType | DescEnum | str
"""What a value is: a scalar, an enum, or the full name of a message."""

DURATION = "google.protobuf.Duration"
TIMESTAMP = "google.protobuf.Timestamp"

# The ranges that timestamp.proto and duration.proto give. The last half microsecond of the year
# 9999 is left out: rounded to microseconds it is no date any more.
MIN_TIMESTAMP_SECONDS = -62_135_596_800
MAX_TIMESTAMP_SECONDS = 253_402_300_799
MAX_DURATION_SECONDS = 315_576_000_000
NANOS_PER_SECOND = 1_000_000_000
MAX_NANOS_OF_LAST_SECOND = 999_999_000


def value_checks(rules: FieldRules, kind: Kind) -> Iterator[ValueCheck]:
    """The checks of one singular value, in the order in which they are made."""
    if kind == TIMESTAMP:
        yield valid_timestamp
    if kind == DURATION:
        yield from duration_checks(rules.duration)
    if kind in {ScalarType.STRING, ScalarType.BYTES}:
        yield from text_checks(rules, kind)
    if isinstance(kind, DescEnum):
        yield from enum_checks(rules, kind)
    if rules.must_be_true:
        yield must_be_true
    if rules.number is not None:
        yield number_check(rules.number)


def text_checks(rules: FieldRules, kind: Kind) -> Iterator[ValueCheck]:
    """Length in code points, then length in bytes, then the pattern."""
    if rules.min_len or rules.max_len:
        yield length_check(rules.min_len, rules.max_len, "runes", len)
    if rules.min_bytes or rules.max_bytes:
        length_of = utf8_length if kind is ScalarType.STRING else len
        yield length_check(rules.min_bytes, rules.max_bytes, "bytes", length_of)
    if rules.pattern is not None:
        yield pattern_check(rules.pattern.regex, rules.pattern.description)


def length_check(least: int, most: int, unit: str, length_of: Callable[[Any], int]) -> ValueCheck:
    """Bounds of a length; `most` 0 means no upper bound."""
    reason = f"value length must be {bounds(least, most)} {unit}"
    if least and most and least != most:
        reason += ", inclusive"

    def check(value: Any) -> str | None:
        length = length_of(value)
        return reason if length < least or (most and length > most) else None

    return check


def bounds(least: int, most: int) -> str:
    """Words for a lower bound, an upper bound, or both; 0 means that there is none."""
    if least and least == most:
        return str(least)
    if least and most:
        return f"between {least} and {most}"
    return f"at least {least}" if least else f"at most {most}"


def utf8_length(value: str) -> int:
    """Length in bytes as it travels; ASCII, the usual case, is not copied."""
    return len(value) if value.isascii() else len(value.encode())


def pattern_check(regex: str, description: str) -> ValueCheck:
    """The whole text must match; `description` completes "value must be"."""
    matches = re.compile(regex, re.ASCII).fullmatch
    reason = f"value must be {description}"

    def check(value: str) -> str | None:
        return None if matches(value) else reason

    return check


def number_check(rules: NumberRules) -> ValueCheck:
    """Inclusive bounds. NaN is never inside."""
    desc = NumberRules.desc()
    has_lower, has_upper = (field in rules for field in desc.fields)
    lower = rules.gte if has_lower else float("-inf")
    upper = rules.lte if has_upper else float("inf")
    reason = range_reason(
        go_number(lower) if has_lower else None, go_number(upper) if has_upper else None
    )

    def check(value: float) -> str | None:
        return None if lower <= value <= upper else reason

    return check


def range_reason(lower: str | None, upper: str | None) -> str:
    """Words for a range whose bounds are written already."""
    if lower is not None and upper is not None:
        return f"value must be inside range [{lower}, {upper}]"
    if lower is not None:
        return f"value must be greater than or equal to {lower}"
    return f"value must be less than or equal to {upper}"


def duration_checks(rules: DurationRules | None) -> Iterator[ValueCheck]:
    """A duration must be one at all, then be the constant or inside the range."""
    yield valid_duration
    if rules is None:
        return
    if rules.const is not None:
        yield duration_const(rules.const)
    if rules.gte is not None or rules.lte is not None:
        yield duration_range(rules.gte, rules.lte)


def duration_const(const: Duration) -> ValueCheck:
    """The only duration that is allowed."""
    nanos = const.to_nanos()
    reason = f"value must equal {go_duration(nanos)}"
    return lambda value: None if value.to_nanos() == nanos else reason


def duration_range(gte: Duration | None, lte: Duration | None) -> ValueCheck:
    """Inclusive bounds; None means that there is none."""
    lower = None if gte is None else gte.to_nanos()
    upper = None if lte is None else lte.to_nanos()
    reason = range_reason(
        None if lower is None else go_duration(lower),
        None if upper is None else go_duration(upper),
    )

    def check(value: Duration) -> str | None:
        nanos = value.to_nanos()
        too_short = lower is not None and nanos < lower
        return reason if too_short or (upper is not None and nanos > upper) else None

    return check


def enum_checks(rules: FieldRules, enum: DescEnum) -> Iterator[ValueCheck]:
    """Refused numbers first, then unknown ones."""
    refused = frozenset(rules.not_in)
    if refused:
        listed = " ".join(str(number) for number in rules.not_in)
        yield lambda value: f"value must not be in list [{listed}]" if value in refused else None
    if rules.defined_only:
        defined = frozenset(value.number for value in enum.values)
        yield (
            lambda value: (
                None if value in defined else "value must be one of the defined enum values"
            )
        )


def must_be_true(value: bool) -> str | None:  # noqa: FBT001 - a check takes one value
    """The only boolean that means anything here is true."""
    return None if value else "value must equal true"


def valid_timestamp(value: Any) -> str | None:
    """A date between the years 1 and 9999, so that handlers can convert it without a care."""
    seconds, nanos = value.seconds, value.nanos
    if seconds == MAX_TIMESTAMP_SECONDS:
        valid = 0 <= nanos <= MAX_NANOS_OF_LAST_SECOND
    else:
        in_range = MIN_TIMESTAMP_SECONDS <= seconds < MAX_TIMESTAMP_SECONDS
        valid = in_range and 0 <= nanos < NANOS_PER_SECOND
    return None if valid else "value is not a valid timestamp"


def valid_duration(value: Any) -> str | None:
    """At most 10,000 years either way, with seconds and nanoseconds of one sign."""
    seconds, nanos = value.seconds, value.nanos
    valid = (
        abs(seconds) <= MAX_DURATION_SECONDS
        and abs(nanos) < NANOS_PER_SECOND
        and seconds * nanos >= 0
    )
    return None if valid else "value is not a valid duration"


def count_reason(rules: FieldRules, what: str) -> Callable[[Sized], str | None] | None:
    """Checks the number of items of a list, or of pairs of a map. None: any number will do."""
    least, most = rules.min_items, rules.max_items
    if not least and not most:
        return None
    if least and least == most:
        reason = f"value must contain exactly {least} {what}(s)"
    elif least and most:
        reason = f"value must contain between {least} and {most} {what}s, inclusive"
    elif least:
        reason = f"value must contain at least {least} {what}(s)"
    else:
        reason = f"value must contain no more than {most} {what}(s)"
    return lambda items: reason if len(items) < least or (most and len(items) > most) else None
