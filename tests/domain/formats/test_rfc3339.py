"""Dates and times of RFC 3339, to the nanosecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.formats import go_json
from outrider.domain.formats.rfc3339 import nanoseconds

SECOND = 1_000_000_000
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
# Two days from the ends of what datetime can say, whatever the offset; Hypothesis wants no zone.
FIRST, LAST = datetime.fromisoformat("0001-01-03"), datetime.fromisoformat("9999-12-29")
times = st.datetimes(FIRST, LAST, timezones=offsets)


@given(times)
def test_it_reads_what_python_writes(time):
    """
    Whatever the offset and the century.
    """
    expected = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000

    assert expected == nanoseconds(time.isoformat())


@given(st.integers(-62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1))
def test_it_reads_what_we_write(instant):
    """
    A relay must not change the time of what happened.
    """
    assert instant == nanoseconds(go_json.timestamp(instant))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t01:00:00.000000001+01:00", 1),
        ("1970-01-01 00:00:00.1234567899z", 123456789),
        ("1969-12-31T23:59:59.5-00:00", -SECOND // 2),
        ("1970-01-01T00:00:60Z", 59 * SECOND),
    ],
)
def test_odd_spellings(text, instant):
    """
    RFC 3339 allows small letters, a space, leap seconds and any number of digits.
    """
    assert instant == nanoseconds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T24:00:00Z",
        "1970-02-30T00:00:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:60",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z\n",
    ],
)
def test_what_is_none(text):
    """
    Each is near enough that some parser takes it.
    """
    with pytest.raises(ValueError, match=r"it looks like|outside|offset|second|day|hour|year"):
        nanoseconds(text)
