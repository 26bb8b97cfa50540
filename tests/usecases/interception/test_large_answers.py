"""Answers that would take long to read: refused before anything is made of them, or cheap."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest

from adapters.http.hostile import Hostile, answer, sends
from outrider.domain.calls.request import MAX_APPLIED_BYTES
from outrider.domain.formats.json_bounds import MAX_JSON_VALUES
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import TargetType
from outrider.errors import FailedPrecondition
from usecases.interception.harness import KINDS, call_target, open_harness

CASES = Path(__file__).parents[3] / "benchmarks" / "stall_answers.py"
AT_MOST_S = 2.0
"""Of this thread's own time, for both ends and the search for a bound; it was up to 33 s.

The worst takes 0.5 s on a quiet machine and 1 s on a loaded one; `benchmarks/stall.py` measures it.
"""


def cases():
    spec = importlib.util.spec_from_file_location("stall_answers", CASES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Small ones have the same names: while tests are collected, no process holds 120 MB of bodies.
ACCEPTED = [name for name, _, _ in cases().accepted_answers(size=100, values=10)]
REFUSED = [name for name, _, _ in cases().refused_answers(size=100)]


@pytest.fixture(scope="module")
def answers():
    """Header fields and body of each answer, by its name."""
    made = cases()
    both = [*made.accepted_answers(), *made.refused_answers()]
    return {name: (fields, body) for name, fields, body in both}


async def called(kind: str, fields, body: bytes, **target):
    """Call a target that answers so, and one more that gets what came of it."""
    async with (
        Hostile(sends(answer(200, body, *fields))) as server,
        Hostile(sends(answer())) as next_one,
        open_harness() as harness,
    ):
        await harness.bind(
            kind,
            call_target(server.url(), "101", **({"interrupt_on_error": False} | target)),
            call_target(next_one.url(), "102"),
        )
        began = time.thread_time()
        result = await harness.run(kind)
        return result.calls, time.thread_time() - began


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REFUSED)
async def test_what_would_take_long_to_read_is_a_failure_of_its_target(kind, name, answers):
    """
    One receiver's answer of 4 MiB held up all callers for half a minute, at a time-out of 3 s.
    """
    calls, seconds = await called(kind, *answers[name], seconds=30.0)

    assert [Outcome.FAILED, Outcome.ACCEPTED] == [call.outcome for call in calls]
    assert calls[0].error
    assert seconds < AT_MOST_S


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ACCEPTED)
async def test_the_worst_that_is_read_does_not_take_long(kind, name, answers):
    """
    Both targets are called within their time-outs, and others do not wait for long.
    """
    calls, seconds = await called(kind, *answers[name], seconds=30.0)

    assert [Outcome.ACCEPTED] == [call.outcome for call in calls[1:]]
    assert seconds < AT_MOST_S


@pytest.mark.parametrize("kind", KINDS)
async def test_the_bounds_are_named(kind):
    """
    The operator has to tell the receiver's owner what to change; the caller hears what he always does.
    """
    too_many = b'{"a":[' + b",".join([b"1"] * MAX_JSON_VALUES) + b"]}"
    too_large = b'{"a":"' + bytes(MAX_APPLIED_BYTES) + b'"}'
    reasons = [(await called(kind, (), body))[0][0].error for body in (too_many, too_large)]

    assert reasons == [
        f"the answer cannot be read: the JSON has more than {MAX_JSON_VALUES} values",
        "the answer is larger than 4 MiB",
    ]
    with pytest.raises(FailedPrecondition, match="Execution failed"):
        await called(kind, (), too_many, interrupt_on_error=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_that_does_not_count_may_be_anything(kind):
    """
    Webhooks answer with pages of HTML, and with all they got: only status and error count.
    """
    body = b'{"a":[' + b",".join([b"{}"] * MAX_JSON_VALUES * 4) + b"]}"
    calls, seconds = await called(kind, (), body, type=TargetType.REST_WEBHOOK)

    assert [Outcome.ACCEPTED] * 2 == [call.outcome for call in calls]
    assert seconds < AT_MOST_S
