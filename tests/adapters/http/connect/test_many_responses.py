"""What receivers answer: a table of bytes, each sent by a real receiver, each with its outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.http.hostile import Hostile, sends_then_closes
from adapters.http.names import a_call, failure_of
from outrider.domain.calls.classify import classify_response
from outrider.domain.calls.request import Stage
from outrider.domain.outcome import Outcome

VECTORS = json.loads(
    Path(__file__).parents[4].joinpath("vectors", "responses.json").read_text(encoding="utf-8")
)
CASES = [pytest.param(case, id=case["name"]) for case in VECTORS["answers"]]


@pytest.mark.parametrize("case", CASES)
async def test_every_answer_has_its_outcome(client, case):
    """
    Receivers are written in everything; none of what they say may be taken for something else.
    """
    async with Hostile(sends_then_closes(case["bytes"].encode("latin-1"))) as server:
        call = a_call(server.url())
        if case["outcome"] == "unreachable":
            failed = await failure_of(client, call)
            assert (Outcome.UNREACHABLE, Stage.ANSWER) == (failed.outcome, failed.stage)
            assert failed.reason.isascii()
            assert failed.reason.isprintable()
            shown = failed.partial.status if failed.partial else None
            assert case.get("status") == shown
        else:
            answer = await client.send(call)
            assert case["status"] == answer.status
            assert case["outcome"] == classify_response(answer).outcome.name.lower()


def test_there_are_more_than_a_hundred():
    """
    All different, and of every outcome that an answer can have.
    """
    sent = {case["bytes"] for case in VECTORS["answers"]}
    outcomes = {case["outcome"] for case in VECTORS["answers"]}

    assert len(sent) == len(VECTORS["answers"]) > 150
    assert {"accepted", "refused", "overloaded", "failed", "unreachable"} == outcomes
