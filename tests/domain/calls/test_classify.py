"""Classify responses (docs/contract.md#answers-of-targets); no response breaks the classification."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.calls.classify import (
    Classification,
    ForwardedError,
    classify_response,
    forwarded_error,
)
from outrider.domain.calls.request import Response
from outrider.domain.formats.json_bounds import MAX_JSON_VALUES
from outrider.domain.outcome import Outcome

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "classification.json").read_text(encoding="utf-8")
)
NAMES = st.sampled_from(
    ["forwardedStatusCode", "forwardedErrorMessage", "FORWARDEDstatuscode", "other", "forwarded"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)
# Bodies that are nearly the error object.
BODIES = (
    st.dictionaries(NAMES, VALUES, max_size=4).map(json.dumps).map(str.encode)
    | st.binary()
    | st.tuples(st.just(b'{"forwarded'), st.binary()).map(b"".join)
)


def body_of(case) -> bytes:
    return case["body"].encode() if "body" in case else base64.b64decode(case["body_base64"])


def answer(status: int, body: bytes = b"") -> Response:
    return Response(status, (), body)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_an_answer_means_what_the_vectors_say(case):
    """
    docs/contract.md#answers-of-targets, and corner cases of Go's JSON.
    """
    classification = classify_response(answer(case["status"], body_of(case)))
    forwarded = case["forwarded"]

    assert Outcome[case["outcome"]] is classification.outcome
    assert classification.forwarded == (
        forwarded and ForwardedError(forwarded["status_code"], forwarded["message"])
    )


@given(st.integers(0, 10_000), BODIES)
@example(200, b'{"forwardedStatusCode":' + b"9" * 5000 + b"}")
@example(200, b'"forwarded' + b"[" * 100_000)
@example(200, b'{"forwardedStatusCode":' + b"[" * 100_000)
@example(200, b'{"forwardedErrorMessage":"\\ud800"}')
def test_every_response_is_classified(status, body):
    """
    The receiver chooses status and body; it cannot choose an exception.
    """
    classification = classify_response(answer(status, body))

    is_accepted = classification.outcome is Outcome.ACCEPTED
    assert is_accepted == (classification == Classification(Outcome.ACCEPTED))
    assert (classification.error == "") == is_accepted
    assert classification.forwarded is None or 200 <= status < 300


@given(BODIES)
def test_only_2xx_is_accepted_and_only_without_a_forwarded_error(body):
    """
    The one rule that decides whether a delivery is over.
    """
    for status in (199, 200, 299, 300):
        accepted = classify_response(answer(status, body)).outcome is Outcome.ACCEPTED

        assert accepted == (200 <= status < 300 and forwarded_error(body) is None)


@given(st.integers(-(2**63), 2**63 - 1), st.text(min_size=1))
def test_a_forwarded_error_is_read_as_it_was_written(status_code, message):
    """
    The caller of an intercepted request reads the receiver's words.
    """
    fields = {"forwardedStatusCode": status_code, "forwardedErrorMessage": message}

    assert ForwardedError(status_code, message) == forwarded_error(json.dumps(fields).encode())


def test_a_long_message_does_not_fill_the_log():
    """
    The receiver chooses its length; the caller still gets it whole.
    """
    message = "x" * 100_000
    body = json.dumps({"forwardedErrorMessage": message}).encode()
    classification = classify_response(answer(200, body))

    assert len(classification.error) < 600
    assert message == classification.forwarded.message


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, "the receiver answered 404"),
        (500, "the receiver answered 500"),
        (503, "the receiver answered 503: it asks for fewer calls"),
    ],
)
def test_the_log_says_what_was_answered(status, error):
    """
    It is the sentence that an operator reads first.
    """
    assert error == classify_response(answer(status)).error


def test_a_huge_answer_is_data_whatever_it_says():
    """
    Parsing 20 MiB would hold up every other delivery of the worker for seconds.
    """
    error = b'{"forwardedStatusCode": 403, "filler": "%b"}'

    assert None is not forwarded_error(error % (b"x" * 1000))
    assert None is forwarded_error(error % (b"x" * 1024 * 1024))


def test_an_answer_of_many_values_is_data_whatever_it_says():
    """
    1 MiB of empty objects took 60 ms to parse, for nothing.
    """
    error = b'{"forwardedStatusCode": 403, "filler": [%b]}'

    assert None is not forwarded_error(error % b",".join([b"{}"] * (MAX_JSON_VALUES - 10)))
    assert None is forwarded_error(error % b",".join([b"{}"] * MAX_JSON_VALUES))
