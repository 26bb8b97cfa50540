"""Headers of traces: what is taken, what is not, and what is sent on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.calls.trace import (
    TraceContext,
    parse_state,
    parse_trace,
    trace_from_headers,
    trace_from_text,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
KNOWN = TraceContext(TRACE, SPAN, 1)

traces = st.builds(
    TraceContext,
    st.integers(1, 2**128 - 1).map("{:032x}".format),
    st.integers(1, 2**64 - 1).map("{:016x}".format),
    st.sampled_from([0, 1]),
    st.sampled_from(["", "a=1", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "1a@b=x y"]),
)


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (PARENT, KNOWN),
        (f" \t{PARENT} ", KNOWN),
        (f"00-{TRACE}-{SPAN}-00", TraceContext(TRACE, SPAN)),
        # Flags of later levels are not ours to pass on.
        (f"00-{TRACE}-{SPAN}-ff", KNOWN),
        (f"00-{TRACE}-{SPAN}-fe", TraceContext(TRACE, SPAN)),
        # A later version is read as far as level 1 knows it.
        (f"cc-{TRACE}-{SPAN}-01", KNOWN),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-holds", KNOWN),
    ],
)
def test_a_valid_header_is_read(traceparent: str, expected: TraceContext):
    """
    The trace that a caller began continues through outrider.
    """
    assert expected == parse_trace(traceparent)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "00",
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"{PARENT}, {PARENT}",
        f"{PARENT}\n",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[:-1]}٣-{SPAN}-01",
    ],
)
def test_a_header_that_is_not_valid_is_as_if_it_were_not_there(traceparent: str | None):
    """
    The rule of the recommendation: a reader that cannot read it begins a new one.
    """
    assert None is parse_trace(traceparent, "a=1")


@pytest.mark.parametrize(
    ("tracestate", "expected"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("a=1 ,\tb=2", "a=1,b=2"),
        ("a=1,,b=2,", "a=1,b=2"),
        ("tenant@vendor=x", "tenant@vendor=x"),
        ("0tenant@vendor=x", "0tenant@vendor=x"),
        ("a/b_c-d*e=!~", "a/b_c-d*e=!~"),
        (f"a={'x' * 256}", f"a={'x' * 256}"),
        ("", ""),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("1a=1", ""),
        ("a=", ""),
        ("a=b=c", ""),
        ("a", ""),
        ("a=ü", ""),
        (f"a={'x' * 257}", ""),
        (",".join(f"a{number}=1" for number in range(33)), ""),
    ],
)
def test_a_state_is_passed_on_or_dropped_whole(tracestate: str, expected: str):
    """
    A trace continues without it; half of it would be a wrong value.
    """
    assert TraceContext(TRACE, SPAN, 1, expected) == parse_trace(PARENT, tracestate)


def test_an_invalid_state_is_dropped():
    """
    A header may have 64 KiB, and each entry is looked at.
    """
    assert parse_state("a=b," * 15_000) == ""


def test_a_long_state_loses_its_oldest_entries():
    """
    512 characters are what every system passes on.
    """
    members = [f"a{number}={'x' * 100}" for number in range(10)]
    kept = parse_state(",".join(members))

    assert ",".join(members[:4]) == kept


@given(traces)
def test_what_is_stored_is_what_is_read(trace: TraceContext):
    """
    Between the publish and the last attempt lie days and a database.
    """
    assert trace == trace_from_text(trace.text)
    headers = dict(trace.headers)
    assert trace == parse_trace(headers["traceparent"], headers.get("tracestate"))


@given(traces, st.integers(1, 2**63 - 1))
def test_a_child_is_of_the_same_trace(trace: TraceContext, number: int):
    """
    Everything but the span is the caller's.
    """
    child = trace.child(number)

    assert (trace.trace_id, trace.flags, trace.state) == (child.trace_id, child.flags, child.state)
    assert number == int(child.span_id, 16)
    assert child == trace_from_text(child.text)


@given(st.text())
def test_no_text_breaks_it(text: str):
    """
    Strangers write these headers.
    """
    parse_trace(text, text)
    parse_trace(PARENT, text)
    trace_from_text(text)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Traceparent": [PARENT]}, KNOWN),
        (
            {"traceparent": [PARENT], "TraceState": ["a=1", "b=2"]},
            TraceContext(TRACE, SPAN, 1, "a=1,b=2"),
        ),
        ({"traceparent": [PARENT, PARENT]}, None),
        ({"traceparent": [PARENT], "TRACEPARENT": [PARENT]}, None),
        ({"traceparent": []}, None),
        ({"tracestate": ["a=1"]}, None),
        ({}, None),
    ],
)
def test_headers_have_any_case_and_one_traceparent(headers, expected):
    """
    Two of them are the caller's mistake, and not ours to choose from.
    """
    assert expected == trace_from_headers(headers)
